/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The account of what modules have acquired from the kernel and given back, from
 * the calls that unidax_record saw them make. Things are of two sorts:
 *
 *   services	a range, a page map, a device, a count on an inode, ...
 *   memory	blocks of the allocators
 *
 * and the account knows three rules:
 *
 *   1. What was acquired is released once, and nothing else is released.
 *   2. Where the order is to be strict (while unwinding, while unloading), services
 *      are released last first: none while a younger one is there.
 *   3. A block of memory is freed after every service that was acquired with a
 *      pointer into it.
 *
 * Rule 2 is not for memory: an object is often made to hold what was there before
 * it (a lock, a count), and so must go after it. Rule 3 is what matters there.
 *
 * Include it after module_test.h.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#define RECORD_FILE "/sys/kernel/debug/unidax_record"
#define RECORD_ARGUMENTS 5

/* What names a thing: an argument of the call, or its result. */
enum name { ARG0, ARG1, ARG2, ARG3, ARG4, RESULT, NONE };

/* Which results mean that the call has succeeded. */
enum success { ZERO, POINTER, NOT_ERR, NUMBER, NO_RESULT };

/* The last kind may fail, and what it acquires goes with something else. */
enum role { ACQUIRES, RELEASES, MAY_FAIL };

struct act {
	const char *func;
	const char *thing;
	enum role role;
	enum name name[2];
	enum success success;
	bool anyway;		/* acquired even when the call fails */
	bool memory;
	bool alike;		/* they are released side by side: in no order among each other */
	enum name size;		/* of memory, NONE when it is not said */
	enum name keeps;	/* a pointer that is used as long as the thing is there */
};

#define RELEASE_OF(_func, _thing, ...) \
	{ _func, _thing, RELEASES, { __VA_ARGS__ }, NO_RESULT }

/*
 * Where a function has another name in some kernels there is a line for each; of
 * each thing one acquiring and one releasing function must be there.
 */
static const struct act acts[] = {
	{ "kmem_cache_create", "slab cache", ACQUIRES, { RESULT, NONE }, POINTER },
	{ "__kmem_cache_create_args", "slab cache", ACQUIRES, { RESULT, NONE }, POINTER },
	RELEASE_OF("kmem_cache_destroy", "slab cache", ARG0, NONE),

	{ "register_filesystem", "file system", ACQUIRES, { ARG0, NONE }, ZERO },
	RELEASE_OF("unregister_filesystem", "file system", ARG0, NONE),

	{ "kern_mount", "mount", ACQUIRES, { RESULT, NONE }, NOT_ERR },
	RELEASE_OF("kern_unmount", "mount", ARG0, NONE),

	/* By their count: the first number is not among the arguments. */
	{ "alloc_chrdev_region", "device numbers", ACQUIRES, { ARG2, NONE }, ZERO },
	RELEASE_OF("unregister_chrdev_region", "device numbers", ARG1, NONE),

	{ "__class_create", "class", ACQUIRES, { RESULT, NONE }, NOT_ERR },
	{ "class_create", "class", ACQUIRES, { RESULT, NONE }, NOT_ERR },
	RELEASE_OF("class_destroy", "class", ARG0, NONE),

	{ "ida_alloc_range", "number", ACQUIRES, { ARG0, RESULT }, NUMBER },
	RELEASE_OF("ida_free", "number", ARG0, ARG1),

	{ "memregion_alloc", "region number", ACQUIRES, { RESULT, NONE }, NUMBER },
	RELEASE_OF("memregion_free", "region number", ARG0, NONE),

	{ "alloc_memory_type", "memory type", ACQUIRES, { RESULT, NONE }, NOT_ERR },
	RELEASE_OF("destroy_memory_type", "memory type", ARG0, NONE),
	RELEASE_OF("put_memory_type", "memory type", ARG0, NONE),

	{ "register_memory_notifier", "memory notifier", ACQUIRES, { ARG0, NONE }, ZERO },
	RELEASE_OF("unregister_memory_notifier", "memory notifier", ARG0, NONE),

	{ "alloc_workqueue", "workqueue", ACQUIRES, { RESULT, NONE }, POINTER },
	{ "alloc_workqueue_noprof", "workqueue", ACQUIRES, { RESULT, NONE }, POINTER },
	RELEASE_OF("destroy_workqueue", "workqueue", ARG0, NONE),

	{ "__platform_driver_register", "driver", ACQUIRES, { ARG0, NONE }, ZERO },
	RELEASE_OF("platform_driver_unregister", "driver", ARG0, NONE),

	{ "platform_device_register_full", "platform device", ACQUIRES, { RESULT, NONE }, NOT_ERR },
	RELEASE_OF("platform_device_unregister", "platform device", ARG0, NONE),

	{ "iget5_locked", "inode", ACQUIRES, { RESULT, NONE }, POINTER },
	{ "ihold", "inode", ACQUIRES, { ARG0, NONE }, NO_RESULT },
	RELEASE_OF("iput", "inode", ARG0, NONE),
	{ "iget5_locked", "inode's number", ACQUIRES, { RESULT, NONE }, POINTER },
	RELEASE_OF("__remove_inode_hash", "inode's number", ARG0, NONE),

	{ "__request_region", "range", ACQUIRES, { ARG0, ARG1 }, POINTER, .keeps = ARG3 },
	RELEASE_OF("__release_region", "range", ARG0, ARG1),
	/* Both: account_adjust(). Also the range's, when that goes as a whole. */
	{ "adjust_resource", "longer range", ACQUIRES, { ARG0, ARG2 }, ZERO },
	RELEASE_OF("adjust_resource", "longer range", ARG0, ARG2),

	{ "memremap_pages", "page map", ACQUIRES, { ARG0, NONE }, NOT_ERR, .alike = true },
	RELEASE_OF("memunmap_pages", "page map", ARG0, NONE),

	/* Its count is the caller's to put even when it was not added. */
	{ "kobject_init_and_add", "kobject", ACQUIRES, { ARG0, NONE }, ZERO, .anyway = true },
	RELEASE_OF("kobject_put", "kobject", ARG0, NONE),
	{ "kobject_init_and_add", "directory", ACQUIRES, { ARG0, NONE }, ZERO },
	RELEASE_OF("kobject_del", "directory", ARG0, NONE),

	{ "device_initialize", "device", ACQUIRES, { ARG0, NONE }, NO_RESULT },
	{ "get_device", "device", ACQUIRES, { ARG0, NONE }, POINTER },
	RELEASE_OF("put_device", "device", ARG0, NONE),

	{ "dev_set_name", "device name", MAY_FAIL, { ARG0, NONE }, ZERO },

	{ "cdev_device_add", "device node", ACQUIRES, { ARG0, NONE }, ZERO },
	RELEASE_OF("cdev_device_del", "device node", ARG0, NONE),

	{ "kmalloc_trace", "memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = ARG2 },
	{ "__kmalloc_cache_noprof", "memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = ARG2 },
	{ "__kmalloc", "memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = ARG0 },
	{ "__kmalloc_noprof", "memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = ARG0 },
	{ "kvmalloc_node", "memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = ARG0 },
	{ "__kvmalloc_node_noprof", "memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = ARG0 },
	{ "kasprintf", "memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = NONE },
	{ "__alloc_percpu", "per-CPU memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = ARG0 },
	{ "pcpu_alloc_noprof", "per-CPU memory", ACQUIRES, { RESULT, NONE }, POINTER,
	  .memory = true, .size = ARG0 },
	{ "free_percpu", "per-CPU memory", RELEASES, { ARG0, NONE }, NO_RESULT, .memory = true },
	{ "kfree", "memory", RELEASES, { ARG0, NONE }, NO_RESULT, .memory = true },
	{ "kvfree", "memory", RELEASES, { ARG0, NONE }, NO_RESULT, .memory = true },
};

#define LONGER_RANGE "longer range"

/* --- what was seen ----------------------------------------------------- */

struct call {
	unsigned int began, ended;
	char func[48];
	unsigned long value[RECORD_ARGUMENTS + 1];	/* the result is the last */
	unsigned long caller, stack;
};

/* Where the kernel's modules begin, by the recorder, which is loaded. 0: it does not say. */
static inline unsigned long first_module_address(void)
{
	static unsigned long start;
	char text[32];

	if (!start && sysfs_read("/sys/module/unidax_record/parameters/modules_start", text,
				 sizeof(text)) > 0)
		start = strtoul(text, NULL, 10);
	return start;
}

/*
 * Whether the return address is in the kernel: a module's exit function ended in
 * this call. Or it is no module's call at all, but the kernel's at that place.
 */
static inline bool call_from_exit(const struct call *call)
{
	return call->caller < first_module_address();
}

/* 0 or a negative errno. */
static inline int record_write(const char *text)
{
	return sysfs_write(RECORD_FILE, text);
}

/*
 * The calls since the last time, in a block to free(), which is then forgotten by
 * the recorder; NULL when some are not there.
 */
static inline struct call *record_take(int *count)
{
	struct call *calls = NULL, call;
	int lost = -1;
	char line[512];
	FILE *f = fopen(RECORD_FILE, "r");

	*count = 0;
	if (!f)
		return NULL;
	while (fgets(line, sizeof(line), f)) {
		unsigned long *v = call.value;

		if (sscanf(line, "lost %d", &lost) == 1)
			continue;
		if (sscanf(line, "%x %x %47s %lx %lx %lx %lx %lx %lx %lx %lx", &call.began,
			   &call.ended, call.func, v, v + 1, v + 2, v + 3, v + 4, v + 5,
			   &call.caller, &call.stack) != 11)
			continue;
		/*
		 * One call instruction, another function: the kernel's own tail call, as of
		 * kvfree() to kfree(). No function of the kernel's ends in destroy_workqueue(); a
		 * unit's stop function may, and the one before it, which was called by the same
		 * loop, in something else.
		 */
		if (*count && calls[*count - 1].caller == call.caller &&
		    calls[*count - 1].stack == call.stack &&
		    strcmp(calls[*count - 1].func, call.func) &&
		    strcmp(call.func, "destroy_workqueue"))
			continue;
		calls = realloc(calls, (*count + 1) * sizeof(call));
		calls[(*count)++] = call;
	}
	fclose(f);
	if (record_write("0"))
		lost = -1;
	if (!calls)
		calls = calloc(1, sizeof(call));
	if (lost) {
		free(calls);
		return NULL;
	}
	return calls;
}

/* --- the account ------------------------------------------------------- */

struct item {
	const struct act *act;
	unsigned long name[2];
	unsigned long value[RECORD_ARGUMENTS + 1];
	unsigned long size;
};

#define MOST_ITEMS 1024

struct account {
	struct item items[MOST_ITEMS];	/* oldest first */
	int count;
	int before;		/* items that the operation found */
	bool strict;		/* rule 2 is in force */
	bool unwinding;		/* nothing is acquired any more */
	struct text wrong;	/* what broke a rule, a line each */
	struct text released;	/* services, in order */
};

static inline unsigned long name_of(const struct call *call, enum name name)
{
	return name == NONE ? 0 : call->value[name];
}

static inline bool call_failed(const struct call *call, const struct act *act)
{
	long result = call->value[RESULT];

	switch (act->success) {
	case ZERO:
		return (int)result != 0;
	case POINTER:
		return !result;
	case NOT_ERR:
		return !result || (unsigned long)result >= -4095UL;
	case NUMBER:
		return (int)result < 0;
	default:
		return false;
	}
}

static inline void account_acquire(struct account *account, const struct act *act,
				   const struct call *call)
{
	struct item *item = &account->items[account->count];

	if (account->count == MOST_ITEMS) {
		text_add(&account->wrong, "more things than the account has room for\n");
		return;
	}
	if (account->unwinding)
		text_add(&account->wrong, "%s acquired after the failure\n", act->thing);
	item->act = act;
	item->name[0] = name_of(call, act->name[0]);
	item->name[1] = name_of(call, act->name[1]);
	memcpy(item->value, call->value, sizeof(item->value));
	item->size = act->memory && act->size != NONE ? name_of(call, act->size) : 1;
	account->count++;
}

static inline void account_remove(struct account *account, int at)
{
	account->count--;
	memmove(&account->items[at], &account->items[at + 1],
		(account->count - at) * sizeof(account->items[0]));
}

static inline bool points_into(const struct item *item, const struct item *memory)
{
	unsigned long start = memory->name[0];

	return item->name[0] - start < memory->size || item->name[1] - start < memory->size ||
	       item->value[item->act->keeps] - start < memory->size;
}

static inline void account_release(struct account *account, const struct act *act,
				   const struct call *call, unsigned long name0,
				   unsigned long name1)
{
	const struct item *item = NULL;
	int at, i;

	/* kfree(NULL) */
	if (act->memory && !name0)
		return;
	for (at = account->count - 1; at >= 0; at--) {
		item = &account->items[at];
		if (!strcmp(item->act->thing, act->thing) && item->name[0] == name0 &&
		    item->name[1] == name1)
			break;
	}
	if (at < 0 && call_from_exit(call))
		return;
	if (!act->memory)
		text_add(&account->released, "%s%s", account->released.length ? ", " : "",
			 act->thing);
	if (at < 0) {
		text_add(&account->wrong, "%s released that it does not have\n", act->thing);
		return;
	}
	if (account->unwinding && at < account->before)
		text_add(&account->wrong, "%s released that was there before\n", act->thing);
	for (i = act->memory ? 0 : at + 1; i < account->count; i++) {
		const struct item *other = &account->items[i];

		if (other->act->memory)
			continue;
		if (act->memory && points_into(other, item))
			text_add(&account->wrong, "memory freed under a %s\n", other->act->thing);
		if (!act->memory && account->strict &&
		    !(item->act->alike && other->act == item->act))
			text_add(&account->wrong, "%s released before a younger %s\n", act->thing,
				 other->act->thing);
	}
	account_remove(account, at);
}

/*
 * A range was made longer or shorter. The growths of a range are things of their
 * own, named by the range and its size with them.
 */
static inline void account_adjust(struct account *account, const struct act *acquires,
				  const struct act *releases, const struct call *call)
{
	unsigned long range = call->value[ARG0], size = call->value[ARG2];
	unsigned long before = call->value[ARG3];
	int at;

	if (size > before) {
		account_acquire(account, acquires, call);
		return;
	}
	for (at = account->count - 1; at >= 0; at--) {
		const struct item *item = &account->items[at];

		if (!strcmp(item->act->thing, LONGER_RANGE) && item->name[0] == range &&
		    item->name[1] > size)
			account_release(account, releases, call, range, item->name[1]);
	}
}

/* The growths of the range go with it, in whatever order. */
static inline void account_forget_growth(struct account *account, const struct call *call)
{
	unsigned long range = 0;
	int at;

	for (at = account->count - 1; at >= 0; at--) {
		const struct item *item = &account->items[at];

		if (!strcmp(item->act->thing, "range") && item->name[0] == call->value[ARG0] &&
		    item->name[1] == call->value[ARG1]) {
			range = item->value[RESULT];
			break;
		}
	}
	for (at = account->count - 1; range && at >= 0; at--) {
		const struct item *item = &account->items[at];

		if (!strcmp(item->act->thing, LONGER_RANGE) && item->name[0] == range)
			account_remove(account, at);
	}
}

struct event {
	unsigned int when;
	bool began;
	const struct call *call;
};

static int event_order(const void *a, const void *b)
{
	const struct event *one = a, *other = b;

	return one->when < other->when ? -1 : one->when > other->when;
}

enum stretch {
	FAILS,		/* an operation that fails: strict from the failure on */
	SUCCEEDS,	/* one that does not */
	TAKES_BACK,	/* one that undoes another: strict */
};

/*
 * Enter the calls of an operation. Things come when the call that acquires them
 * ends, and go when that which releases them begins: what happens inside of
 * either is in between. Returns what broke a rule, "" if nothing did; it and
 * account->released are good until the next time.
 */
static inline const char *account_enter(struct account *account, const struct call *calls,
					int count, enum stretch stretch)
{
	struct event *events = calloc(2 * count + 1, sizeof(*events));
	const struct call *failure = NULL, *last = NULL;
	unsigned int a;
	int i, n = 0;

	account->wrong.length = account->released.length = 0;
	text_add(&account->wrong, "");
	text_add(&account->released, "");
	account->before = account->count;
	account->unwinding = false;
	account->strict = stretch == TAKES_BACK;
	for (i = 0; i < count; i++) {
		events[n++] = (struct event){ calls[i].began, true, &calls[i] };
		if (calls[i].ended)
			events[n++] = (struct event){ calls[i].ended, false, &calls[i] };
	}
	qsort(events, n, sizeof(*events), event_order);
	for (i = 0; i < n; i++)
		for (a = 0; a < ARRAY_SIZE(acts); a++)
			if (!events[i].began && acts[a].role != RELEASES &&
			    !strcmp(acts[a].func, events[i].call->func) &&
			    call_failed(events[i].call, &acts[a]))
				failure = events[i].call;
	/*
	 * What failed may be the kernel's own, before or after all that is called here: a
	 * module loader, a driver core. Then it takes back all that was acquired.
	 */
	for (i = 0; i < n && !failure; i++)
		for (a = 0; a < ARRAY_SIZE(acts); a++)
			if (!events[i].began && acts[a].role == ACQUIRES &&
			    !strcmp(acts[a].func, events[i].call->func))
				last = events[i].call;
	for (i = 0; i < n; i++) {
		const struct call *call = events[i].call;

		if (!strcmp(call->func, "adjust_resource")) {
			const struct act *grow = acts;

			while (strcmp(grow->func, call->func))
				grow++;
			if (!events[i].began && !call_failed(call, grow))
				account_adjust(account, grow, grow + 1, call);
		}
		if (!strcmp(call->func, "__release_region") && events[i].began)
			account_forget_growth(account, call);
		for (a = 0; a < ARRAY_SIZE(acts); a++) {
			const struct act *act = &acts[a];

			if (strcmp(act->func, call->func) || !strcmp(act->thing, LONGER_RANGE))
				continue;
			if (act->role == RELEASES && events[i].began)
				account_release(account, act, call, name_of(call, act->name[0]),
						name_of(call, act->name[1]));
			if (act->role == ACQUIRES && !events[i].began &&
			    (act->anyway || !call_failed(call, act)))
				account_acquire(account, act, call);
		}
		if (stretch == FAILS && call == (failure ?: last) && !events[i].began)
			account->strict = account->unwinding = true;
	}
	for (i = account->before; stretch == FAILS && i < account->count; i++)
		text_add(&account->wrong, "%s leaked\n", account->items[i].act->thing);
	free(events);
	return account->wrong.data;
}

/* Things that are there now and were not when the count was this. */
static inline const char *account_left(struct account *account, int count)
{
	int i;

	account->wrong.length = 0;
	text_add(&account->wrong, "");
	if (account->count < count)
		text_add(&account->wrong, "%d things less than before\n", count - account->count);
	for (i = count; i < account->count; i++)
		text_add(&account->wrong, "%s leaked\n", account->items[i].act->thing);
	return account->wrong.data;
}

#endif /* ACCOUNT_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A storm: processes that do everything that can be done to regions and their
 * instances at the same time, for a bounded time, while others use the memory.
 *
 * Every instance stamps its pages with its own name and the page's offset. Who
 * looks at a page finds it zero (it has come and nobody has stamped it) or its own
 * stamp, whatever happens to the instance meanwhile, or gets a signal; anything
 * else is a byte that crossed from one instance to another. A page that is held
 * by a pipe keeps its stamp until it is read.
 *
 * Include it after resize.h. UNIDAX_STORM_SECONDS says how long one lasts.
 */
#ifndef RESIZE_STORM_H
#define RESIZE_STORM_H

#define STORM_REGIONS 4
#define STORM_SLOTS 5			/* instances of a region: at most so many are made */
#define STORM_SPAN 24			/* units that a mapping has at most */

enum storm_count {
	STORM_TOUCHES, STORM_SIGNALS, STORM_STAMPS, STORM_MAPS, STORM_FORKS, STORM_MREMAPS, STORM_PINS,
	STORM_GROWS, STORM_SHRINKS, STORM_BUSY, STORM_CREATES, STORM_DELETES, STORM_ALIGNS,
	STORM_UNLOADS, STORM_COUNTS
};

static const char *const storm_names[STORM_COUNTS] = {
	"touches", "signals", "stamps", "maps", "forks", "mremaps", "pins", "grows", "shrinks",
	"busy", "creates", "deletes", "aligns", "unloads"
};

/* What all of its processes see. */
struct storm {
	volatile bool stop;
	volatile int failed;
	char why[256];
	unsigned long counts[STORM_COUNTS];
	int regions;
	struct region region[STORM_REGIONS];
	unsigned long unit[STORM_REGIONS];
};

static struct storm *storm;
static struct random storm_random;
static sigjmp_buf storm_env;

static void storm_count(enum storm_count what)
{
	__atomic_fetch_add(&storm->counts[what], 1, __ATOMIC_RELAXED);
}

/* The first to say so is the one who is heard. */
__attribute__((format(printf, 1, 2), noreturn))
static void storm_fail(const char *format, ...)
{
	va_list args;

	if (!__atomic_exchange_n(&storm->failed, 1, __ATOMIC_SEQ_CST)) {
		va_start(args, format);
		vsnprintf(storm->why, sizeof(storm->why), format, args);
		va_end(args);
	}
	storm->stop = true;
	_exit(1);
}

static void storm_signal(int signal)
{
	siglongjmp(storm_env, signal);
}

static void storm_begin(unsigned long who)
{
	struct sigaction action = { .sa_handler = storm_signal, .sa_flags = SA_NODEFER };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	storm_random.state += who * 1000003;
	sigaction(SIGBUS, &action, NULL);
}

static unsigned long below(unsigned long limit)
{
	return random_below(&storm_random, limit);
}

static uint64_t stamp_of(int id, int instance, unsigned long page)
{
	return 0x5ULL << 60 | (uint64_t)id << 48 | (uint64_t)instance << 40 | page;
}

struct storm_instance {
	int region;			/* index */
	int id, instance;		/* the R and I of daxR.I */
	char name[NAME_LENGTH];
	int fd;
};

/* Any instance of any region; it need not be there. */
static void storm_choose(struct storm_instance *it)
{
	it->region = below(storm->regions);
	it->id = storm->region[it->region].id;
	it->instance = below(STORM_SLOTS);
	snprintf(it->name, sizeof(it->name), "dax%d.%d", it->id, it->instance);
}

/*
 * Open any. Between the look at the name and that at the number the device may
 * have gone and the number be another's, so the name is asked once more when it
 * is open: from then on nobody else gets the number.
 */
static bool storm_open(struct storm_instance *it)
{
	char node[64];
	struct stat st;

	storm_choose(it);
	snprintf(node, sizeof(node), "/dev/%s", it->name);
	it->fd = open(node, O_RDWR | O_CLOEXEC);
	if (it->fd < 0)
		return false;
	if (!fstat(it->fd, &st) && st.st_rdev == instance_devt(it->name))
		return true;
	close(it->fd);
	return false;
}

/* Look at the stamps of a page, and put them there when there are none. */
static void storm_look(const struct storm_instance *it, char *p, unsigned long page)
{
	volatile uint64_t *first = (uint64_t *)p, *last = (uint64_t *)(p + PAGE) - 1;
	uint64_t want = stamp_of(it->id, it->instance, page), seen;
	int i;

	storm_count(STORM_TOUCHES);
	if (sigsetjmp(storm_env, 0)) {
		storm_count(STORM_SIGNALS);
		return;
	}
	for (i = 0; i < 2; i++) {
		volatile uint64_t *at = i ? last : first;

		seen = *at;
		if (seen && seen != want)
			storm_fail("%s, page %#lx: stamp %#llx, not %#llx", it->name, page,
				   (unsigned long long)seen, (unsigned long long)want);
		if (!seen) {
			*at = want;
			storm_count(STORM_STAMPS);
		}
	}
}

static void storm_look_around(const struct storm_instance *it, char *p, unsigned long first,
			      unsigned long pages)
{
	unsigned long i, page;

	for (i = 0; i < 12 && !storm->stop; i++) {
		page = below(pages);
		/* Where extents begin and end, more often than elsewhere. */
		if (below(2))
			page -= page % (storm->unit[it->region] / PAGE);
		storm_look(it, p + page * PAGE, first + page);
	}
}

/* A page of the mapping into a pipe, more changes, and what the pipe has then. */
static void storm_pin(const struct storm_instance *it, char *p, unsigned long page)
{
	uint64_t want = stamp_of(it->id, it->instance, page), seen[PAGE / 8];
	struct iovec iov = { .iov_base = p, .iov_len = PAGE };
	int pipefd[2];

	storm_look(it, p, page);
	if (pipe2(pipefd, O_CLOEXEC))
		return;
	if (vmsplice(pipefd[1], &iov, 1, 0) == PAGE) {
		nap_ms(below(30));
		if (read(pipefd[0], seen, PAGE) != PAGE)
			storm_fail("%s: a pipe has lost a page", it->name);
		if ((seen[0] && seen[0] != want) ||
		    (seen[PAGE / 8 - 1] && seen[PAGE / 8 - 1] != want))
			storm_fail("%s, page %#lx: the pipe has stamp %#llx, not %#llx", it->name,
				   page, (unsigned long long)seen[0], (unsigned long long)want);
		storm_count(STORM_PINS);
	}
	close(pipefd[0]);
	close(pipefd[1]);
}

/* Open, map, use, inherit, move, unmap, close: in ever another order. */
static void storm_user(void)
{
	while (!storm->stop) {
		struct storm_instance it;
		unsigned long unit, first, length, cut;
		char *p, *moved;
		pid_t pid;
		int i;

		if (!storm_open(&it)) {
			nap_ms(1);
			continue;
		}
		unit = storm->unit[it.region];
		first = below(3) ? 0 : below(STORM_SPAN) * unit;
		length = (1 + below(STORM_SPAN)) * unit;
		p = map_shared(it.fd, length, first);
		if (p == MAP_FAILED) {
			/* EINVAL: its alignment has become larger than the unit. */
			if (errno != ENXIO && errno != EINVAL)
				storm_fail("%s: mmap: %s", it.name, strerror(errno));
			close(it.fd);
			continue;
		}
		storm_count(STORM_MAPS);
		if (below(2)) {
			close(it.fd);
			it.fd = -1;
		}
		first /= PAGE;
		for (i = below(4); i >= 0 && !storm->stop; i--) {
			storm_look_around(&it, p, first, length / PAGE);
			switch (below(8)) {
			case 0:
				pid = fork();
				if (!pid) {
					storm_begin(getpid());
					storm_look_around(&it, p, first, length / PAGE);
					_exit(0);
				}
				storm_count(STORM_FORKS);
				storm_look_around(&it, p, first, length / PAGE);
				if (child_verdict(pid))
					storm_fail("%s: a child came to harm", it.name);
				break;
			case 1:
				/* To wherever the kernel likes; a huge page may be torn. */
				moved = mremap(p, length, length, MREMAP_MAYMOVE);
				if (moved != MAP_FAILED)
					p = moved;
				moved = reserve_address(length, MIB(2));
				if (moved && mremap(p, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
						    moved) != MAP_FAILED)
					p = moved;
				storm_count(STORM_MREMAPS);
				break;
			case 2:
				/* A second one of the same. */
				moved = mremap(p, 0, length, MREMAP_MAYMOVE);
				if (moved != MAP_FAILED) {
					storm_look_around(&it, moved, first, length / PAGE);
					munmap(moved, length);
				}
				storm_count(STORM_MREMAPS);
				break;
			case 3:
				madvise(p, length, MADV_DONTNEED);
				break;
			case 4:
				storm_pin(&it, p, first);
				break;
			case 5:
				cut = length / 2 - length / 2 % unit;
				if (cut && !munmap(p + cut, length - cut))
					length = cut;
				break;
			case 6:
				mprotect(p, length, PROT_READ);
				mprotect(p, length, PROT_READ | PROT_WRITE);
				break;
			case 7:
				nap_ms(below(10));
				break;
			}
		}
		munmap(p, length);
		if (it.fd >= 0)
			close(it.fd);
	}
}

/* Keeps one mapping and looks at it again and again: the one who would see what is stale. */
static void storm_resident(void)
{
	while (!storm->stop) {
		struct storm_instance it;
		unsigned long unit, length;
		int rounds;
		char *p;

		if (!storm_open(&it)) {
			nap_ms(1);
			continue;
		}
		unit = storm->unit[it.region];
		length = STORM_SPAN * unit;
		p = map_shared(it.fd, length, 0);
		close(it.fd);
		if (p == MAP_FAILED)
			continue;
		for (rounds = 0; rounds < 200 && !storm->stop; rounds++)
			storm_look_around(&it, p, 0, length / PAGE);
		munmap(p, length);
	}
}

static bool one_of(int errno_value, const int *list)
{
	while (*list && *list != errno_value)
		list++;
	return *list;
}

/* By the attribute and by the descriptor. */
static void storm_resizer(void)
{
	static const int expected[] = { ENOSPC, EBUSY, ENXIO, ENODEV, ENOENT, EINVAL, 0 };

	while (!storm->stop) {
		struct unidax_resize resize = { .size = sizeof(resize), .timeout_ms = 20 };
		struct storm_instance it;
		int ret = 0;

		if (below(2)) {
			storm_choose(&it);
			resize.bytes = below(STORM_SPAN + 1) * storm->unit[it.region];
			ret = dax_resize(it.name, resize.bytes);
		} else if (storm_open(&it)) {
			resize.bytes = below(STORM_SPAN + 1) * storm->unit[it.region];
			if (ioctl(it.fd, UNIDAX_RESIZE, &resize))
				ret = -errno;
			close(it.fd);
		} else {
			continue;
		}
		if (ret && !one_of(-ret, expected))
			storm_fail("%s: resize: %s", it.name, strerror(-ret));
		if (ret == -EBUSY)
			storm_count(STORM_BUSY);
		else if (!ret)
			storm_count(resize.bytes > STORM_SPAN / 2 * storm->unit[it.region] ?
				    STORM_GROWS : STORM_SHRINKS);
	}
}

static void storm_maker(void)
{
	static const int make_errors[] = { ENOSPC, ENXIO, ENODEV, ENOENT, 0 };
	static const int delete_errors[] = { EBUSY, ENXIO, ENODEV, ENOENT, 0 };

	while (!storm->stop) {
		instance_name names[MAX_INSTANCES];
		struct storm_instance it;
		struct region *region;
		int ret;

		storm_choose(&it);
		region = &storm->region[it.region];
		if (region_instances(region, names) < STORM_SLOTS) {
			ret = region_write(region, "create", "1");
			if (ret && !one_of(-ret, make_errors))
				storm_fail("create: %s", strerror(-ret));
			if (!ret)
				storm_count(STORM_CREATES);
		}
		if (!below(3))
			dax_resize(it.name, 0);
		ret = region_write(region, "delete", "%s", it.name);
		if (ret && !one_of(-ret, delete_errors))
			storm_fail("%s: delete: %s", it.name, strerror(-ret));
		if (!ret)
			storm_count(STORM_DELETES);
		nap_ms(below(20));
	}
}

static void storm_aligner(void)
{
	static const int expected[] = { EBUSY, EINVAL, ENXIO, ENODEV, ENOENT, 0 };

	while (!storm->stop) {
		struct storm_instance it;
		int ret;

		storm_choose(&it);
		/* Seldom what would keep the users out. */
		ret = dax_write(it.name, "align", "%lu", below(4) ? KIB(4) : MIB(2));
		if (ret && !one_of(-ret, expected))
			storm_fail("%s: align: %s", it.name, strerror(-ret));
		if (!ret)
			storm_count(STORM_ALIGNS);
		/* And who only reads. */
		dax_number(it.name, "size");
		dax_number(it.name, "resource");
		dax_number(it.name, "mapping0/start");
		region_number(&storm->region[it.region], "available_size");
		region_number(&storm->region[it.region], "seed");
		nap_ms(below(10));
	}
}

/* The provider goes and comes. A pin may keep its range busy a while. */
static void storm_unloader(void)
{
	const char *provider = loaded_provider();
	char parameters[1024];
	struct region region;
	double until;
	int i;

	if (!provider)
		return;
	loaded_parameters(provider, parameters, sizeof(parameters));
	while (!storm->stop) {
		int ret;

		nap_ms(700 + below(800));
		until = seconds();
		ret = module_unload(provider);
		if (ret)
			storm_fail("unload of %s: %s", provider, strerror(-ret));
		if (seconds() - until > 20)
			storm_fail("unload of %s took %.0f s", provider, seconds() - until);
		storm_count(STORM_UNLOADS);
		for (until = seconds() + 20; ; nap_ms(20)) {
			ret = module_load(provider, parameters);
			if (!ret) {
				for (i = 0; i < storm->regions; i++)
					if (!region_find(storm->region[i].align, &region))
						break;
				if (i == storm->regions)
					break;
				module_unload(provider);
			}
			if (seconds() > until)
				storm_fail("load of %s: %s", provider, strerror(-ret));
		}
		/* Room for the others: at first one instance has all of it. */
		for (i = 0; i < storm->regions; i++) {
			instance_name name;

			snprintf(name, sizeof(name), "dax%d.0", storm->region[i].id);
			dax_resize(name, STORM_SPAN * storm->unit[i]);
		}
	}
}

struct storm_plan {
	unsigned int users, residents, resizers;
	bool unload;
};

static pid_t storm_worker(void (*work)(void), unsigned long who)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	storm_begin(who);
	work();
	_exit(0);
}

/* NULL when all was well, else why not. */
static const char *storm_run(const struct storm_plan *plan, unsigned long limit)
{
	unsigned long length = number_from_environment("UNIDAX_STORM_SECONDS", limit);
	static char why[300];
	static pid_t pids[32];
	int i, verdict, count = 0;
	double until;
	char name[NAME_LENGTH];

	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		     -1, 0);
	if (storm == MAP_FAILED)
		return "no memory";
	while (storm->regions < STORM_REGIONS &&
	       region_find_nth(0, storm->regions, &storm->region[storm->regions])) {
		struct region *region = &storm->region[storm->regions];

		storm->unit[storm->regions++] = region->align;
		if (region_empty(region))
			return "a region is not mine";
		for (i = 0; i < 3; i++)
			if (instance_create_sized(region, name, 4 * region->align))
				return "no instance";
	}
	storm_random = random_seeded();
	/* More changes in the same time. */
	hurry(true);
	for (i = 0; i < (int)plan->users; i++, count++)
		pids[count] = storm_worker(storm_user, count);
	for (i = 0; i < (int)plan->residents; i++, count++)
		pids[count] = storm_worker(storm_resident, count);
	for (i = 0; i < (int)plan->resizers; i++, count++)
		pids[count] = storm_worker(storm_resizer, count);
	pids[count++] = storm_worker(storm_maker, 100);
	pids[count++] = storm_worker(storm_aligner, 101);
	if (plan->unload)
		pids[count++] = storm_worker(storm_unloader, 102);
	for (until = seconds() + length; seconds() < until && !storm->stop; )
		nap_ms(50);
	storm->stop = true;
	hurry(false);
	why[0] = '\0';
	for (i = 0; i < count; i++) {
		verdict = child_verdict(pids[i]);
		if (verdict && !why[0])
			snprintf(why, sizeof(why), "process %d ended with %d", i, verdict);
	}
	if (storm->failed)
		snprintf(why, sizeof(why), "%s", storm->why);
	printf("# %d region(s), %lu s:", storm->regions, length);
	for (i = 0; i < STORM_COUNTS; i++)
		printf(" %lu %s", storm->counts[i], storm_names[i]);
	printf("\n");
	fflush(stdout);
	/* Ids may have changed hands with a reload. */
	for (i = 0; i < storm->regions; i++) {
		struct region region;

		if (!region_read(storm->region[i].dir, &region) || !region_adds_up(&region))
			snprintf(why, sizeof(why), "region %d does not add up", i);
		if (!why[0] && region_restore(&region))
			snprintf(why, sizeof(why), "region %d cannot be emptied", i);
	}
	return why[0] ? why : NULL;
}

#endif /* RESIZE_STORM_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * unwind: every step that can fail of what unidax does - of starting, of making a
 * region and a device, of growing one - is made to fail, each call of it in turn.
 * The operation must then fail with that step's errno, give back all that it has
 * acquired so far, each thing once and last first, and leave nothing behind; then
 * it must succeed. What account.h demands is seen at the calls themselves
 * (unidax_record), not inferred. A step that is never reached fails the test, and
 * in the same run a module that unwinds wrongly must be found out.
 *
 * It runs on any kernel that has kprobes. Steps are made to fail from outside
 * (unidax_override): allocations too, but only those that unidax makes itself;
 * fail_nth has those inside the kernel's functions.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "account.h"
#include "steps.h"

static const struct step grow_steps[] = {
	{ "__request_region", 0, ENOMEM, ENOMEM },
	{ "adjust_resource", -ODD, ODD, ODD },
	DIRECTORY_STEPS,
	MEMORY_STEPS,
};

static const struct step shrink_steps[] = {
	MEMORY_STEPS,
};

FIXTURE(unwind) {
	struct image core, provider, override, record;
	char *before;
	struct account *account;
	enum provider which;
	struct dax_dev dev;
	char target[32];	/* size to resize to */
	char origin[32];	/* and back */
};

PROVIDER_VARIANTS(unwind);

/* The names of the acts that this kernel has, in one parameter. */
static void add_functions(struct text *text, bool releases, const char *symbols)
{
	const char *sign = releases ? " ends=" : "calls=";
	struct text seen = { 0 };
	char word[64];
	unsigned int a;

	text_add(&seen, " ");
	for (a = 0; a < ARRAY_SIZE(acts); a++) {
		snprintf(word, sizeof(word), " %s ", acts[a].func);
		if ((acts[a].role == RELEASES) != releases || !strstr(symbols, word) ||
		    strstr(seen.data, word) || (releases && !strcmp(acts[a].thing, LONGER_RANGE)))
			continue;
		text_add(text, "%s%s", sign, acts[a].func);
		text_add(&seen, "%s", word);
		sign = ",";
	}
	free(seen.data);
}

/* A thing that cannot be seen to come or to go; NULL when there is none. */
static const char *invisible(const char *symbols)
{
	unsigned int a, b;
	char word[64];

	for (a = 0; a < ARRAY_SIZE(acts); a++) {
		bool seen = false;

		for (b = 0; b < ARRAY_SIZE(acts) && !seen; b++) {
			snprintf(word, sizeof(word), " %s ", acts[b].func);
			seen = acts[b].role == acts[a].role &&
			       !strcmp(acts[b].thing, acts[a].thing) && strstr(symbols, word);
		}
		if (!seen)
			return acts[a].thing;
	}
	return NULL;
}

/*
 * " name name ... " of all functions of the kernel itself that acts name, and from
 * and to where it calls the exit functions of modules.
 */
static char *kernel_symbols(struct text *exits)
{
	char line[512], name[256], module[64];
	struct text text = { 0 };
	unsigned long address;
	bool within = false;
	unsigned int a;
	FILE *f = fopen("/proc/kallsyms", "r");

	text_add(&text, " ");
	while (f && fgets(line, sizeof(line), f)) {
		int fields = sscanf(line, "%lx %*s %255s %63s", &address, name, module) - 1;

		/* They are in order of address. */
		if (within) {
			text_add(exits, ",%#lx", address);
			within = false;
		}
		if (fields == 1 && strpbrk(strchr(line, ' '), "tT") == strchr(line, ' ') + 1 &&
		    strstr(name, "sys_delete_module")) {
			text_add(exits, "%s%#lx", exits->length ? "," : " exits=", address);
			within = true;
		}
		for (a = 0; fields == 1 && a < ARRAY_SIZE(acts); a++)
			if (!strcmp(acts[a].func, name)) {
				text_add(&text, "%s ", name);
				break;
			}
	}
	if (f)
		fclose(f);
	return text.data;
}

FIXTURE_SETUP(unwind)
{
	struct text parameters = { 0 }, exits = { 0 };
	char *symbols;

	if (provider_missing(variant->provider) || module_loaded(UNIDAX_CORE))
		return;
	self->which = variant->provider;
	ASSERT_EQ(0, image_read(UNIDAX_CORE, &self->core));
	ASSERT_EQ(0, image_read(provider_name(variant->provider), &self->provider));
	ASSERT_EQ(0, image_read("unidax_override", &self->override));
	ASSERT_EQ(0, image_read("unidax_record", &self->record));
	self->account = calloc(1, sizeof(*self->account));
	symbols = kernel_symbols(&exits);
	ASSERT_NE(NULL, exits.data);
	ASSERT_EQ(NULL, invisible(symbols)) {
		TH_LOG("no function of this kernel is known to acquire, or release, a %s",
		       invisible(symbols));
	}
	add_functions(&parameters, false, symbols);
	add_functions(&parameters, true, symbols);
	text_add(&parameters, " callers=" UNIDAX_CORE "," UNIDAX_HMEM "," UNIDAX_RESERVED_MODULE
		 ",unidax_planted%s", exits.data);
	ASSERT_EQ(0, image_load(&self->record, parameters.data)) {
		TH_LOG("unidax_record %s", parameters.data);
	}
	ASSERT_NE(0, first_module_address());
	free(parameters.data);
	free(exits.data);
	free(symbols);
	self->before = snapshot();
	become_victim();
}

FIXTURE_TEARDOWN(unwind)
{
	if (!self->before)
		return;
	module_unload("unidax_override");
	EXPECT_EQ(0, unload_all());
	EXPECT_TRUE(unchanged_soon(self->before));
	EXPECT_EQ(0, module_unload("unidax_record"));
	free(self->before);
	free(self->account);
	free(self->core.data);
	free(self->provider.data);
	free(self->override.data);
	free(self->record.data);
}

typedef FIXTURE_DATA(unwind) state;

/* --- operations -------------------------------------------------------- */

struct operation {
	const char *name;
	int (*deed)(state *);
	int (*undo)(state *);
};

static int load(state *self)
{
	return image_load(&self->core, "");
}

static int unload(state *self)
{
	return module_unload(UNIDAX_CORE);
}

static int load_provider(state *self)
{
	return image_load(&self->provider, region_parameters(self->which));
}

static int unload_provider(state *self)
{
	return module_unload(provider_name(self->which));
}

static int bind_region(state *self)
{
	return region_make(self->which, &self->provider);
}

static int unbind_region(state *self)
{
	return region_unmake(self->which);
}

static int region_write(state *self, const char *attribute, const char *text)
{
	return region_of_write(self->dev.name, attribute, text);
}

/* The name of the instance with the number i in the same region. */
static const char *sibling(state *self, int i)
{
	static char name[64];
	int region = 0;

	sscanf(self->dev.name, "dax%d.", &region);
	snprintf(name, sizeof(name), "dax%d.%d", region, i);
	return name;
}

static int instance_resize(const char *name, const char *size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/size", name);
	return sysfs_write(path, size);
}

static int create(state *self)
{
	return region_write(self, "create", "1");
}

static int delete_created(state *self)
{
	return region_write(self, "delete", sibling(self, 1));
}

static int grow(state *self)
{
	return instance_resize(self->dev.name, self->target);
}

static int shrink(state *self)
{
	return instance_resize(self->dev.name, self->origin);
}

static const struct operation
	op_load = { "load of unidax", load, unload },
	op_provider = { "load of the provider", load_provider, unload_provider },
	op_bind = { "making of a region", bind_region, unbind_region },
	op_create = { "create", create, delete_created },
	op_grow = { "grow", grow, shrink },
	op_shrink = { "shrink", shrink, grow };

/* --- one operation, watched -------------------------------------------- */

/* NULL when it could not be watched; else what broke a rule. */
static const char *watched(state *self, int (*deed)(state *), int *ret, bool takes_back)
{
	const char *wrong;
	struct call *calls;
	bool quiet = true;
	int i, count;

	calls = record_take(&count);
	for (i = 0; calls && i < count; i++)
		quiet &= call_from_exit(&calls[i]);
	free(calls);
	if (!calls)
		return NULL;
	if (!quiet)
		return "something happened between operations\n";
	*ret = deed(self);
	calls = record_take(&count);
	if (!calls)
		return NULL;
	wrong = account_enter(self->account, calls, count,
			      *ret ? FAILS : takes_back ? TAKES_BACK : SUCCEEDS);
	free(calls);
	return wrong;
}

#define WATCHED(_deed, _takes_back) ({						\
	int _ret = -1;								\
	const char *_wrong = watched(self, _deed, &_ret, _takes_back);		\
	ASSERT_NE(NULL, _wrong) {						\
		TH_LOG("the record has holes");					\
	}									\
	EXPECT_STREQ("", _wrong);						\
	_ret;									\
})

/* Undo strictly, and have what there was. */
#define UNDO(_op, _things, _before) do {					\
	EXPECT_EQ(0, WATCHED((_op)->undo, true));				\
	EXPECT_STREQ("", account_left(self->account, _things));			\
	ASSERT_TRUE(unchanged_soon(_before));					\
} while (0)

/*
 * Fail the first call of each step, the second, and so on until the operation no
 * longer makes so many, which is when it must succeed.
 */
#define SWEEP(_op, _steps) do {							\
	const int _things = self->account->count;				\
	/* Inodes of devices that were deleted are freed after a grace period. */	\
	char *_before = (nap_ms(500), snapshot());				\
	int _reached[ARRAY_SIZE(_steps)] = { 0 };				\
	unsigned int _i, _k;							\
	/* As it should be. */							\
	ASSERT_EQ(0, WATCHED((_op)->deed, false));				\
	UNDO(_op, _things, _before);						\
	for (_i = 0; _i < ARRAY_SIZE(_steps); _i++) {				\
		const struct step *_step = &(_steps)[_i];			\
		int _nth, _load = 0, _result = 0;				\
		long long _hits = 0;						\
		for (_nth = 0; _nth < MOST_CALLS; _nth++) {			\
			_load = image_load(&self->override, step_override(_step, _nth, 0)); \
			if (_load)						\
				break;						\
			/* It is to be seen before it is overridden. */		\
			ASSERT_EQ(0, record_write(_step->func));		\
			ASSERT_EQ(0, _step->caller ? sysfs_write(OVERRIDE "/first", "1") : 0); \
			_result = WATCHED((_op)->deed, false);			\
			_hits = override_hits();				\
			module_unload("unidax_override");			\
			if (_hits)						\
				fprintf(TH_LOG_STREAM,				\
					"# %s: call %d of %s failed: %s; released: %s\n", \
				       (_op)->name, _nth + 1, _step->func,	\
				       _result ? strerror(-_result) : "tolerated", \
				       !_result ? "-" :				\
				       self->account->released.length ?		\
				       self->account->released.data : "nothing"); \
			EXPECT_TRUE(_hits ? _result == -_step->error ||		\
					    _result == -_step->other_error ||	\
					    (_step->lenient && !_result) : !_result) { \
				TH_LOG("%s: call %d of %s: the result is %d", (_op)->name, \
				       _nth + 1, _step->func, _result);		\
			}							\
			if (!_result)						\
				UNDO(_op, _things, _before);			\
			ASSERT_TRUE(unchanged_soon(_before)) {			\
				TH_LOG("%s: call %d of %s", (_op)->name, _nth + 1, _step->func); \
			}							\
			if (!_hits)						\
				break;						\
		}								\
		if (_load == -ENOENT && _step->optional)			\
			continue;						\
		ASSERT_EQ(0, _load) {						\
			TH_LOG("%s cannot be made to fail", _step->func);	\
		}								\
		EXPECT_LT(_nth, MOST_CALLS);					\
		_reached[_i] = _nth;						\
		EXPECT_TRUE(_nth || _step->optional) {				\
			TH_LOG("%s: %s is never called", (_op)->name, _step->func); \
		}								\
	}									\
	for (_i = 0; _i < ARRAY_SIZE(_steps); _i++) {				\
		int _calls = 0;							\
		for (_k = 0; (_steps)[_i].group && _k < ARRAY_SIZE(_steps); _k++) \
			if ((_steps)[_k].group &&				\
			    !strcmp((_steps)[_k].group, (_steps)[_i].group))	\
				_calls += _reached[_k];				\
		EXPECT_TRUE(_calls || !(_steps)[_i].group) {			\
			TH_LOG("%s: nothing of %s is ever called", (_op)->name,	\
			       (_steps)[_i].group);				\
		}								\
	}									\
	free(_before);								\
} while (0)

/*
 * The provider makes hmem.N itself where the kernel has hmem_platform.0. Half of what is
 * acquired for that is released by the driver core, which is not recorded.
 */
#define REQUIRE_READY_DEVICES() do {						\
	if (variant->provider == PROVIDER_HMEM &&				\
	    !access("/sys/bus/platform/devices/hmem_platform.0", F_OK))		\
		SKIP(return, "the driver core releases what is acquired here");	\
} while (0)

TEST_F_TIMEOUT(unwind, load, 240)
{
	REQUIRE_PROVIDER(variant->provider);
	SWEEP(&op_load, load_steps);
}

TEST_F_TIMEOUT(unwind, region, 600)
{
	REQUIRE_PROVIDER(variant->provider);
	REQUIRE_READY_DEVICES();
	ASSERT_EQ(0, WATCHED(load, false));
	if (variant->provider == PROVIDER_HMEM) {
		/* It must not find the device on its own: bound is not loaded. */
		ASSERT_EQ(0, WATCHED(load_provider, false));
		ASSERT_EQ(0, WATCHED(unbind_region, false));
	} else {
		SWEEP(&op_bind, reserved_steps);
	}
	SWEEP(&op_bind, bind_steps);
	if (variant->provider == PROVIDER_HMEM)
		EXPECT_EQ(0, WATCHED(unload_provider, true));
	EXPECT_EQ(0, WATCHED(unload, true));
	EXPECT_STREQ("", account_left(self->account, 0));
}

/* Loading the provider makes regions too; that its driver cannot is its own step. */
TEST_F_TIMEOUT(unwind, provider, 240)
{
	REQUIRE_PROVIDER(variant->provider);
	REQUIRE_READY_DEVICES();
	if (variant->provider == PROVIDER_RESERVED)
		SKIP(return, "no driver; its load is the making of its regions");
	ASSERT_EQ(0, WATCHED(load, false));
	SWEEP(&op_provider, driver_steps);
	EXPECT_EQ(0, WATCHED(unload, true));
	EXPECT_STREQ("", account_left(self->account, 0));
}

/*
 * Room in pieces: device 0 has 2 MiB, then come 2 MiB of nothing, 2 of device 2,
 * nothing, device 4, and nothing up to the end. So device 0 grows by joining, and
 * by two more ranges.
 */
static const char *take_apart(state *self)
{
	int i;

	if (!dax_find(0, &self->dev))
		return "no device";
	if (instance_resize(self->dev.name, "0x200000"))
		return "cannot shrink";
	for (i = 1; i <= 4; i++)
		if (create(self) || instance_resize(sibling(self, i), "0x200000"))
			return "cannot create";
	for (i = 1; i <= 3; i += 2)
		if (instance_resize(sibling(self, i), "0") ||
		    region_write(self, "delete", sibling(self, i)))
			return "cannot delete";
	snprintf(self->origin, sizeof(self->origin), "%#lx", MIB(2));
	snprintf(self->target, sizeof(self->target), "%#lx", MIB(2 + 2 + 2 + 4));
	return "";
}

/* What is between the operations under test is entered all the same. */
static int take_region_apart(state *self)
{
	const char *why = take_apart(self);

	if (*why)
		fprintf(TH_LOG_STREAM, "# %s\n", why);
	return *why ? -ENOTRECOVERABLE : 0;
}

TEST_F_TIMEOUT(unwind, instance, 600)
{
	REQUIRE_PROVIDER(variant->provider);
	REQUIRE_READY_DEVICES();
	ASSERT_EQ(0, WATCHED(load, false));
	ASSERT_EQ(0, WATCHED(load_provider, false));
	ASSERT_TRUE(dax_find(0, &self->dev));
	/* Make room for another. */
	snprintf(self->origin, sizeof(self->origin), "%#lx", MIB(2));
	ASSERT_EQ(0, WATCHED(shrink, false));
	SWEEP(&op_create, create_steps);
	EXPECT_EQ(0, WATCHED(unload_provider, false));
	EXPECT_EQ(0, WATCHED(unload, true));
	EXPECT_STREQ("", account_left(self->account, 0));
}

TEST_F_TIMEOUT(unwind, resize, 600)
{
	REQUIRE_PROVIDER(variant->provider);
	REQUIRE_READY_DEVICES();
	ASSERT_EQ(0, WATCHED(load, false));
	ASSERT_EQ(0, WATCHED(load_provider, false));
	ASSERT_EQ(0, WATCHED(take_region_apart, false));
	SWEEP(&op_grow, grow_steps);
	ASSERT_EQ(0, WATCHED(grow, false));
	SWEEP(&op_shrink, shrink_steps);
	/* All of it goes with the provider; what is older than what is not said. */
	EXPECT_EQ(0, WATCHED(unload_provider, false));
	EXPECT_EQ(0, WATCHED(unload, true));
	EXPECT_STREQ("", account_left(self->account, 0));
}

/* Loading and unloading mirror each other, thing by thing. */
TEST_F_TIMEOUT(unwind, mirror, 240)
{
	int things;

	REQUIRE_PROVIDER(variant->provider);
	REQUIRE_READY_DEVICES();
	ASSERT_EQ(0, WATCHED(load, false));
	EXPECT_EQ(0, self->account->released.length);
	ASSERT_EQ(0, WATCHED(load_provider, false));
	things = self->account->count;
	EXPECT_EQ(0, WATCHED(unload_provider, true));
	fprintf(TH_LOG_STREAM, "# unload of the provider releases: %s\n",
		self->account->released.data);
	EXPECT_EQ(0, WATCHED(unload, true));
	fprintf(TH_LOG_STREAM, "# unload of unidax releases: %s\n", self->account->released.data);
	EXPECT_STREQ("", account_left(self->account, 0));
	/* Ten units or owners at the least: this has seen something. */
	EXPECT_LE(15, things);
}

/* The same eyes must see what is wrong. */
static int planted(state *self, const char *sequence, const char **wrong)
{
	char text[64];
	struct call *calls;
	int count, ret;

	ret = image_load(&self->override,
			 "func=register_filesystem ret=-87 comm=" VICTIM " caller=unidax_planted");
	if (ret)
		return ret;
	ret = record_write("register_filesystem");
	ret = ret ? ret : sysfs_write(OVERRIDE "/first", "1");
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "sequence=%s", sequence);
	ret = module_load("unidax_planted", text);
	calls = record_take(&count);
	module_unload("unidax_override");
	self->account->count = 0;
	*wrong = calls ? account_enter(self->account, calls, count, FAILS) : "no record";
	free(calls);
	return ret;
}

TEST_F_TIMEOUT(unwind, control, 120)
{
	static const struct {
		const char *sequence, *wrong;
	} plants[] = {
		{ "reverse", "" },
		{ "forward", "range released before a younger device numbers\n" },
		{ "leak", "memory leaked\nrange leaked\n" },
		{ "twice", "device numbers released that it does not have\n" },
		{ "early", "memory freed under a range\n" },
		{ "foreign", "file system released that it does not have\n" },
	};
	const char *wrong;
	unsigned int i;

	REQUIRE_PROVIDER(variant->provider);
	for (i = 0; i < ARRAY_SIZE(plants); i++) {
		ASSERT_EQ(-ODD, planted(self, plants[i].sequence, &wrong)) {
			TH_LOG("%s", plants[i].sequence);
		}
		EXPECT_STREQ(plants[i].wrong, wrong) {
			TH_LOG("%s", plants[i].sequence);
		}
		fprintf(TH_LOG_STREAM, "# planted %s: %s", plants[i].sequence, *wrong ? wrong : "accepted\n");
	}
}

TEST_HARNESS_MAIN

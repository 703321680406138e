// SPDX-License-Identifier: GPL-2.0
/*
 * start_failures: every step of starting unidax, and of making a region and its
 * device, that can fail is made to fail, each call of it in turn. The load must
 * then fail with that step's errno and leave nothing behind, and the next one
 * must succeed. Steps that fail by allocation are not here: that takes a kernel
 * with fault injection.
 */
#define _GNU_SOURCE
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"

/* An errno that nothing returns by itself. */
#define ODD EUSERS

struct step {
	const char *func;
	long ret;
	int error, other_error;	/* that the load must fail with; either */
	bool optional;		/* kernels differ in whether they have it */
	bool lenient;		/* the driver core calls it too, and may live without */
};

static const struct step core_steps[] = {
	{ "kmem_cache_create", 0, ENOMEM, ENOMEM },
	{ "register_filesystem", -ODD, ODD, ODD },
	{ "kern_mount", -ODD, ODD, ODD },
	{ "alloc_chrdev_region", -ODD, ODD, ODD },
	{ "__class_create", -ODD, ODD, ODD, .optional = true },
	{ "class_register", -ODD, ODD, ODD, .optional = true },
};

static const struct step provider_steps[] = {
	/* Of the region's range, busy; of an extent in it, out of memory. */
	{ "__request_region", 0, EBUSY, ENOMEM },
	{ "memremap_pages", -ODD, ODD, ODD },
	/*
	 * The folder of each kobject. Not kobject_init_and_add() itself: made to
	 * fail from outside it has not initialised either, as it always does.
	 */
	{ "sysfs_create_dir_ns", -ODD, ODD, ENOMEM, .lenient = true },
	{ "kobject_add", -ODD, ODD, ENOMEM, .lenient = true },
	{ "sysfs_create_group", -ODD, ODD, ENOMEM, .optional = true, .lenient = true },
	{ "sysfs_create_groups", -ODD, ODD, ENOMEM, .optional = true, .lenient = true },
	{ "cdev_add", -ODD, ODD, ODD },
	{ "device_add", -ODD, ODD, ODD },
};

/* What a load does more often than this is a loop. */
#define MOST_CALLS 64

FIXTURE(start_failures) {
	struct image core, provider, override;
	char *before;
};

PROVIDER_VARIANTS(start_failures);

FIXTURE_SETUP(start_failures)
{
	if (provider_missing(variant->provider) || module_loaded(UNIDAX_CORE))
		return;
	ASSERT_EQ(0, image_read(UNIDAX_CORE, &self->core));
	ASSERT_EQ(0, image_read(provider_name(variant->provider), &self->provider));
	ASSERT_EQ(0, image_read("unidax_override", &self->override));
	self->before = snapshot();
}

FIXTURE_TEARDOWN(start_failures)
{
	if (!self->before)
		return;
	module_unload("unidax_override");
	EXPECT_EQ(0, unload_all());
	EXPECT_TRUE(unchanged_since(self->before));
	free(self->before);
	free(self->core.data);
	free(self->provider.data);
	free(self->override.data);
}

struct outcome {
	int load;		/* of the override: not 0 when there is no such function */
	int ret;		/* of the deed */
	long long hits;
};

/* Do the deed with the nth call of the step's function failing, from 0. */
static struct outcome with_failure(const struct image *override, const struct step *step,
				   int nth, int (*deed)(void *), void *arg)
{
	struct outcome outcome = { 0 };
	char text[128];

	snprintf(text, sizeof(text), "func=%s ret=%ld comm=" VICTIM " after=%d times=1",
		 step->func, step->ret, nth);
	outcome.load = image_load(override, text);
	if (outcome.load)
		return outcome;
	outcome.ret = deed(arg);
	outcome.hits = override_hits();
	module_unload("unidax_override");
	return outcome;
}

/*
 * Fail the first call, the second, and so on until the deed no longer makes so
 * many, which is when it must succeed; `_undo' takes a success back, and then
 * as after a failure all must be as it was.
 */
#define SWEEP(_steps, _deed, _arg, _undo, _before) do {				\
	unsigned int _i;							\
	for (_i = 0; _i < ARRAY_SIZE(_steps); _i++) {				\
		const struct step *_step = &(_steps)[_i];			\
		struct outcome _o = { 0 };					\
		int _nth;							\
		for (_nth = 0; _nth < MOST_CALLS; _nth++) {			\
			_o = with_failure(&self->override, _step, _nth, _deed, _arg); \
			if (_o.load || !_o.hits)				\
				break;						\
			EXPECT_EQ(true, _o.ret == -_step->error ||		\
					_o.ret == -_step->other_error ||	\
					(_step->lenient && !_o.ret)) {		\
				TH_LOG("call %d of %s failed, the result is %d", \
				       _nth, _step->func, _o.ret);		\
			}							\
			if (!_o.ret)						\
				_undo;						\
			ASSERT_TRUE(unchanged_since(_before)) {			\
				TH_LOG("after call %d of %s failed", _nth, _step->func); \
			}							\
		}								\
		if (_o.load)							\
			TH_LOG("%s: no override: %s", _step->func, strerror(-_o.load)); \
		else								\
			TH_LOG("%s: %d calls", _step->func, _nth);		\
		if (_step->optional && (_o.load || !_nth)) {			\
			if (!_o.load && !_o.ret)				\
				_undo;						\
			continue;						\
		}								\
		ASSERT_EQ(0, _o.load);						\
		EXPECT_NE(0, _nth) {						\
			TH_LOG("%s is never called", _step->func);		\
		}								\
		EXPECT_EQ(0, _o.ret) {						\
			TH_LOG("after all calls of %s have failed", _step->func); \
		}								\
		if (!_o.ret)							\
			_undo;							\
		ASSERT_TRUE(unchanged_since(_before));				\
	}									\
} while (0)

static int load_core(void *arg)
{
	FIXTURE_DATA(start_failures) *self = arg;

	return image_load(&self->core, "");
}

TEST_F_TIMEOUT(start_failures, core, 120)
{
	REQUIRE_PROVIDER(variant->provider);
	if (variant->provider != PROVIDER_HMEM && !provider_missing(PROVIDER_HMEM))
		SKIP(return, "the core is the same");
	become_victim();
	SWEEP(core_steps, load_core, self, module_unload(UNIDAX_CORE), self->before);
}

static int bind_provider(void *arg)
{
	enum provider *provider = arg;

	return provider_bind(*provider);
}

TEST_F_TIMEOUT(start_failures, provider, 240)
{
	enum provider provider = variant->provider;
	char *unbound, *p;
	struct dax_dev dev;
	int fd;

	REQUIRE_PROVIDER(provider);
	become_victim();
	ASSERT_EQ(0, image_load(&self->core, ""));
	if (provider == PROVIDER_HMEM) {
		ASSERT_EQ(0, provider_load(provider));
		ASSERT_EQ(0, provider_unbind(provider));
	}
	unbound = snapshot();
	SWEEP(provider_steps, bind_provider, &provider, provider_unbind(provider), unbound);
	free(unbound);
	/* And what came through all that works. */
	ASSERT_EQ(0, provider_bind(provider));
	ASSERT_TRUE(dax_find(0, &dev));
	fd = open(dev.node, O_RDWR);
	ASSERT_LE(0, fd);
	p = map_shared(fd, dev.align, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch_write(p, 1));
	munmap(p, dev.align);
	close(fd);
	ASSERT_EQ(0, provider_unbind(provider));
}

TEST_HARNESS_MAIN

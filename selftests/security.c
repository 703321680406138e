// SPDX-License-Identifier: GPL-2.0
/*
 * security: what somebody can do to the machine, to its administrator and to
 * others who has nothing but the node, to write; one test for each row of
 * Documentation/security.rst. He is a user without any right, or root of a user
 * namespace, or user 0 of a container; to the latter two the node is bind-mounted.
 *
 * What the administrator does meanwhile has to end. Times are upper bounds on that, generous, for
 * the fault is that it waits for ever.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"
#include "user.h"

/* Seconds that an administrator's change may take here; what a machine under load needs is less. */
#define AT_MOST (10 * UNIDAX_PATIENCE)
/*
 * Of extents that growth by somebody unprivileged leads to;
 * Documentation/security.rst.
 */
#define MOST_EXTENTS 256
#define CREW 8

FIXTURE(security) {
	struct region region;
	unsigned long unit;
	char name[NAME_LENGTH], node[64];
	long timeout;
	pid_t crew[CREW];
	int busy;			/* of the crew */
};

FIXTURE_VARIANT(security) {
	unsigned long align;
	enum holder who;
};

#define HOLDER(_name, _align, _who)						\
	FIXTURE_VARIANT_ADD(security, _name) { .align = _align, .who = _who }
HOLDER(user_4k, KIB(4), HOLDER_USER);
HOLDER(namespace_2m, MIB(2), HOLDER_NAMESPACE);
HOLDER(container_4k, KIB(4), HOLDER_CONTAINER);

FIXTURE_SETUP(security)
{
	self->unit = variant->align;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	ASSERT_EQ(0, instance_create_sized(&self->region, self->name, 4 * self->unit));
	snprintf(self->node, sizeof(self->node), "/dev/%s", self->name);
	ASSERT_EQ(0, chmod(self->node, 0666));
	self->timeout = set_timeout_ms(5000);
	ASSERT_LT(0, self->timeout);
}

/* The crew stops where it is. */
static void dismiss(pid_t *crew, int *busy)
{
	int i;

	for (i = 0; i < *busy; i++)
		kill(crew[i], SIGKILL);
	for (i = 0; i < *busy; i++)
		child_verdict(crew[i]);
	*busy = 0;
}

FIXTURE_TEARDOWN(security)
{
	if (!self->region.dir[0])
		return;
	dismiss(self->crew, &self->busy);
	set_timeout_ms(self->timeout);
	region_write(&self->region, "clear", "1");
	EXPECT_EQ(0, region_restore(&self->region));
}

#define REQUIRE_HOLDER() do {							\
	REQUIRE_REGION(&self->region, variant->align);				\
	if (variant->who == HOLDER_NAMESPACE && as_holder(nothing, NULL) == UNABLE) \
		SKIP(return, "no user namespaces for everybody");		\
} while (0)

/* --- somebody who holds the node ------------------------------------------ */

#define UNABLE 254

/* What he does with its descriptor; his exit code. */
typedef int (*deed)(int fd, void *arg);

static pid_t holder_start(enum holder who, const char *node, deed deed, void *arg)
{
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	fd = become_holder(who, node, O_RDWR);
	/* Once it is somebody else. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(fd < 0 ? UNABLE : deed(fd, arg));
}

/* The exit code of a process, or -1 when it had to be killed after so many seconds. */
static int ends_within(pid_t pid, double limit)
{
	double until = seconds() + limit;

	while (child_runs(pid) && seconds() < until)
		nap_ms(5);
	if (!child_runs(pid))
		return child_verdict(pid);
	kill(pid, SIGKILL);
	child_verdict(pid);
	return -1;
}

#define as_holder(_deed, _arg)							\
	ends_within(holder_start(variant->who, self->node, _deed, _arg), AT_MOST)
#define crew_start(_deed, _arg)							\
	(self->crew[self->busy++] = holder_start(variant->who, self->node, _deed, _arg))

static int nothing(int fd, void *arg)
{
	return 0;
}

static int resize_fd(int fd, unsigned long bytes, unsigned int timeout_ms)
{
	struct unidax_resize resize = {
		.size = sizeof(resize), .bytes = bytes, .timeout_ms = timeout_ms,
	};

	return ioctl(fd, UNIDAX_RESIZE, &resize) ? errno : 0;
}

/* arg: the size. */
static int resizes(int fd, void *arg)
{
	return resize_fd(fd, *(unsigned long *)arg, 0);
}

#define holder_resizes(_size) ({						\
	unsigned long _bytes = (_size);						\
										\
	as_holder(resizes, &_bytes);						\
})

static unsigned long bytes_of(int fd)
{
	struct unidax_info info = { .size = sizeof(info) };

	return ioctl(fd, UNIDAX_GET_INFO, &info) ? 0 : info.bytes;
}

/* --- the administrator ---------------------------------------------------- */

/* Something of the kind `echo TEXT >ATTRIBUTE`: 0, an errno, or -1 when it did not end. */
static int root_writes(const char *name, const char *attribute, const char *text)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-dax_write(name, attribute, "%s", text));
	return ends_within(pid, AT_MOST);
}

static int root_writes_number(const char *name, const char *attribute, unsigned long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", number);
	return root_writes(name, attribute, text);
}

static int root_tells_region(const struct region *region, const char *attribute, const char *text)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-region_write(region, attribute, "%s", text));
	return ends_within(pid, AT_MOST);
}

static int root_ioctl(const char *node, unsigned long size)
{
	pid_t pid = fork();
	int fd;

	if (!pid) {
		fd = open(node, O_RDWR | O_CLOEXEC);
		_exit(fd < 0 ? errno : resize_fd(fd, size, 0));
	}
	return ends_within(pid, AT_MOST);
}

#define root_resizes(_size) root_writes_number(self->name, "size", _size)
#define size_is() dax_number(self->name, "size")
#define limit_is() dax_number(self->name, "size_limit")

/* --- size ------------------------------------------------------------------ */

TEST_F(security, growth_is_the_administrators)
{
	unsigned long u = self->unit;

	REQUIRE_HOLDER();
	EXPECT_EQ(4 * u, limit_is());
	EXPECT_EQ(EPERM, holder_resizes(5 * u));
	EXPECT_EQ(EPERM, holder_resizes(self->region.size));
	EXPECT_EQ(EPERM, holder_resizes(self->region.size + u));
	EXPECT_EQ(EPERM, holder_resizes(-u));
	EXPECT_EQ(0, holder_resizes(4 * u));
	EXPECT_EQ(EINVAL, holder_resizes(4 * u + 1));
	EXPECT_EQ(4 * u, size_is());
}

TEST_F(security, limit)
{
	unsigned long u = self->unit;
	struct extent extents[MAX_EXTENTS];
	int n;

	REQUIRE_HOLDER();
	/* A number that root wrote holds. */
	EXPECT_EQ(0, root_writes_number(self->name, "size_limit", 6 * u));
	EXPECT_EQ(6 * u, limit_is());
	EXPECT_EQ(0, holder_resizes(5 * u));
	EXPECT_EQ(EPERM, holder_resizes(7 * u));
	EXPECT_EQ(0, holder_resizes(6 * u));
	EXPECT_EQ(0, root_resizes(3 * u));
	EXPECT_EQ(6 * u, limit_is());
	EXPECT_EQ(0, root_resizes(8 * u));
	EXPECT_EQ(EPERM, holder_resizes(9 * u));
	EXPECT_EQ(0, root_resizes(3 * u));
	EXPECT_EQ(0, holder_resizes(6 * u));

	/* Otherwise it is what root gave last, whichever way. */
	EXPECT_EQ(0, root_writes(self->name, "size_limit", "auto"));
	EXPECT_EQ(3 * u, limit_is());
	EXPECT_EQ(EPERM, holder_resizes(7 * u));
	EXPECT_EQ(6 * u, size_is());
	EXPECT_EQ(0, root_resizes(7 * u));
	EXPECT_EQ(7 * u, limit_is());
	EXPECT_EQ(0, root_ioctl(self->node, 5 * u));
	EXPECT_EQ(5 * u, limit_is());
	n = instance_extents(self->name, extents);
	ASSERT_EQ(1, n);
	EXPECT_EQ(0, dax_write(self->name, "mapping", "%llx-%llx", extents[0].start + 5 * u,
			       extents[0].start + 6 * u - 1));
	EXPECT_EQ(6 * u, limit_is());
	EXPECT_EQ(EINVAL, root_resizes(u + 1));
	EXPECT_EQ(ENOSPC, root_resizes(self->region.size + u));
	EXPECT_EQ(6 * u, limit_is());

	/* Less than there is takes nothing away. */
	EXPECT_EQ(0, root_writes(self->name, "size_limit", "0"));
	EXPECT_EQ(0, limit_is());
	EXPECT_EQ(6 * u, size_is());
	EXPECT_EQ(EPERM, holder_resizes(7 * u));
	/* Any number will do. */
	EXPECT_EQ(0, root_writes_number(self->name, "size_limit", 7 * u + 1));
	EXPECT_EQ(0, holder_resizes(7 * u));
	EXPECT_EQ(0, root_writes(self->name, "size_limit", "0xffffffffffffffff"));
	EXPECT_EQ(ENOSPC, holder_resizes(self->region.size + u));
	EXPECT_EQ(EINVAL, root_writes(self->name, "size_limit", "much"));
	EXPECT_EQ(EINVAL, root_writes(self->name, "size_limit", "-1"));
	EXPECT_EQ(EINVAL, root_writes(self->name, "size_limit", "\n"));

	/* Who takes all of the memory takes the limit: nobody grows it before it is deleted. */
	EXPECT_EQ(0, root_resizes(0));
	EXPECT_EQ(0, limit_is());
	EXPECT_EQ(EPERM, holder_resizes(u));
	/* From then on root may allow it. */
	EXPECT_EQ(0, root_writes_number(self->name, "size_limit", 2 * u));
	EXPECT_EQ(0, holder_resizes(2 * u));
}

TEST_F(security, shrink_is_the_administrators)
{
	unsigned long u = self->unit;

	REQUIRE_HOLDER();
	EXPECT_EQ(0, dax_number(self->name, "allow_shrink"));
	EXPECT_EQ(EPERM, holder_resizes(3 * u));
	EXPECT_EQ(EPERM, holder_resizes(0));
	EXPECT_EQ(4 * u, size_is());
	EXPECT_EQ(0, root_writes(self->name, "allow_shrink", "1"));
	EXPECT_EQ(1, dax_number(self->name, "allow_shrink"));
	EXPECT_EQ(0, holder_resizes(2 * u));
	EXPECT_EQ(2 * u, size_is());
	/* Up to what root gave. */
	EXPECT_EQ(4 * u, limit_is());
	EXPECT_EQ(EPERM, holder_resizes(5 * u));
	EXPECT_EQ(0, holder_resizes(4 * u));
	EXPECT_EQ(0, holder_resizes(0));
	EXPECT_EQ(0, holder_resizes(4 * u));
	EXPECT_EQ(0, root_writes(self->name, "allow_shrink", "0"));
	EXPECT_EQ(EPERM, holder_resizes(2 * u));
	EXPECT_EQ(EINVAL, root_writes(self->name, "allow_shrink", "maybe"));
	EXPECT_EQ(4 * u, size_is());
}

/* --- a change that lasts ---------------------------------------------------- */

struct pinned {
	unsigned long unit;
	unsigned int timeout_ms;
};

/* Shrink by the last unit, which he has put into a pipe. */
static int shrinks_what_he_pins(int fd, void *arg)
{
	const struct pinned *pinned = arg;
	unsigned long last = bytes_of(fd) - pinned->unit;
	char *p = map_shared(fd, pinned->unit, last);
	struct iovec page = { .iov_base = p, .iov_len = PAGE };
	int ends[2];

	if (p == MAP_FAILED || touch_write(p, 1) || pipe(ends) ||
	    vmsplice(ends[1], &page, 1, 0) != PAGE)
		return 253;
	return resize_fd(fd, last, pinned->timeout_ms);
}

TEST_F(security, time_limit_is_the_modules)
{
	struct pinned pinned = { self->unit, ~0U };

	REQUIRE_HOLDER();
	root_writes(self->name, "allow_shrink", "1");
	set_timeout_ms(200);
	EXPECT_EQ(EBUSY, as_holder(shrinks_what_he_pins, &pinned));
	EXPECT_EQ(4 * self->unit, size_is());
	/* Nor by a change of the module's while it waits. */
	pinned.timeout_ms = 100;
	set_timeout_ms(600000);
	EXPECT_EQ(EBUSY, as_holder(shrinks_what_he_pins, &pinned));
}

/* What he was answered, for the one who made the page; he stays, with his mapping. */
struct answered {
	struct pinned pinned;
	volatile int ret;
};

static int shrinks_and_stays(int fd, void *arg)
{
	struct answered *answered = arg;

	answered->ret = shrinks_what_he_pins(fd, &answered->pinned);
	pause();
	return 0;
}

TEST_F(security, the_administrator_does_not_wait)
{
	static const struct {
		const char *attribute;	/* NULL: the ioctl */
		const char *text;	/* NULL: the size that follows */
		int expected;
	} changes[] = {
		{ "size", NULL, 0 },
		{ NULL, NULL, 0 },
		{ "align", "4096", EBUSY },
		{ "mapping", "0-ffe", ENXIO },
		{ "mode", "system-ram", EBUSY },
		{ "mode", "devdax", 0 },
		{ "size_limit", "0", 0 },
		{ "size_limit", "auto", 0 },
		{ "allow_shrink", "0", 0 },
	};
	struct answered *holder = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long size = 4 * self->unit;
	double until;
	unsigned int i;
	int ret;

	REQUIRE_HOLDER();
	holder->pinned = (struct pinned){ self->unit, ~0U };
	/* Long enough to be seen waiting. */
	set_timeout_ms(600000);
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		const char *attribute = changes[i].attribute;

		root_writes(self->name, "allow_shrink", "1");
		holder->ret = -1;
		crew_start(shrinks_and_stays, holder);
		nap_ms(150);
		EXPECT_EQ(-1, holder->ret);
		if (!changes[i].text)
			size += self->unit;
		if (!attribute)
			ret = root_ioctl(self->node, size);
		else if (!changes[i].text)
			ret = root_resizes(size);
		else
			ret = root_writes(self->name, attribute, changes[i].text);
		EXPECT_EQ(changes[i].expected, ret) {
			TH_LOG("%s", attribute ?: "ioctl");
		}
		for (until = seconds() + AT_MOST; holder->ret < 0 && seconds() < until; )
			nap_ms(5);
		EXPECT_EQ(EBUSY, holder->ret) {
			TH_LOG("%s: what the holder was answered", attribute ?: "ioctl");
		}
		ASSERT_EQ((long long)size, size_is());
		dismiss(self->crew, &self->busy);
	}
	/* Refused as it always is, for it has a size, and at once. */
	crew_start(shrinks_and_stays, holder);
	nap_ms(150);
	EXPECT_EQ(EBUSY, root_tells_region(&self->region, "delete", self->name));
}

/* Changes without end; arg: units that it may have. */
struct greed {
	unsigned long unit, most;
};

static int resizes_for_ever(int fd, void *arg)
{
	const struct greed *greed = arg;
	struct random random = { .state = getpid() };

	while (resize_fd(fd, random_below(&random, greed->most + 1) * greed->unit, ~0U) != ENXIO)
		;
	return 0;
}

TEST_F(security, storm_of_resizes)
{
	unsigned long u = self->unit, units = self->region.size / u, i;
	struct greed greed = { u, units - 8 };

	REQUIRE_HOLDER();
	EXPECT_EQ(0, root_writes(self->name, "size_limit", "0x7fffffffffffffff"));
	EXPECT_EQ(0, root_writes(self->name, "allow_shrink", "1"));
	while (self->busy < CREW)
		crew_start(resizes_for_ever, &greed);
	nap_ms(100);
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(0, root_resizes((1 + i % 3) * u));
		EXPECT_EQ(0, root_ioctl(self->node, (4 + i % 3) * u));
	}
	EXPECT_EQ(0, root_writes_number(self->name, "align", variant->align));
	/* Nobody comes in between. */
	EXPECT_EQ(0, root_resizes(0));
	EXPECT_EQ(0, root_tells_region(&self->region, "delete", self->name));
	for (i = 0; i < CREW; i++)
		EXPECT_EQ(0, ends_within(self->crew[i], AT_MOST));
	self->busy = 0;
	EXPECT_EQ((long long)self->region.size, region_number(&self->region, "available_size"));
}

/* A growth that clears much is ended by whoever wants the empty device gone. */
static int grows_for_ever(int fd, void *arg)
{
	const struct greed *greed = arg;

	while (resize_fd(fd, greed->most * greed->unit, 0) != ENXIO)
		;
	return 0;
}

TEST_F(security, deletion_ends_a_growth)
{
	unsigned long u = self->unit, units = self->region.size / u;
	struct greed greed = { u, units };
	int i;

	REQUIRE_HOLDER();
	/* Otherwise a growth is done at once. */
	ASSERT_EQ(0, region_write(&self->region, "clear", "eager"));
	while (self->busy < CREW)
		crew_start(grows_for_ever, &greed);
	EXPECT_EQ(0, root_resizes(0));
	/* What they have of it grows at once, or begins to. */
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, root_writes(self->name, "size_limit", "0x7fffffffffffffff"));
		nap_ms(3 * i);
		EXPECT_EQ(0, root_resizes(0));
	}
	EXPECT_EQ(0, root_tells_region(&self->region, "delete", self->name));
	for (i = 0; i < CREW; i++)
		EXPECT_EQ(0, ends_within(self->crew[i], AT_MOST));
	self->busy = 0;
}

TEST_F(security, unload_ends_everything)
{
	unsigned long u = self->unit;
	struct greed greed = { u, 8 };
	struct pinned pinned = { u, ~0U };
	const char *provider = loaded_provider();
	char parameters[1024];
	double start;

	REQUIRE_HOLDER();
	REQUIRE_PROVIDER_MODULE(provider);
	/* Once is enough. */
	if (variant->who != HOLDER_USER)
		SKIP(return, "the same for whoever it is");
	set_timeout_ms(600000);
	root_writes(self->name, "size_limit", "0x7fffffffffffffff");
	root_writes(self->name, "allow_shrink", "1");
	crew_start(shrinks_what_he_pins, &pinned);
	while (self->busy < CREW)
		crew_start(resizes_for_ever, &greed);
	nap_ms(100);
	loaded_parameters(provider, parameters, sizeof(parameters));
	start = seconds();
	EXPECT_EQ(0, module_unload(provider));
	EXPECT_GT(AT_MOST, seconds() - start);
	dismiss(self->crew, &self->busy);
	/* As soon as core has noticed that the page is free. */
	ASSERT_TRUE(provider_load_soon(provider, parameters, variant->align, &self->region, 10));
}

/* --- how much ---------------------------------------------------------------- */

/* Two devices, each a unit more by turns, as often as he likes; arg: units and the other's node. */
struct cutter {
	unsigned long unit, begin;
	int other;
	int answer;
	unsigned int extents;
	unsigned long bytes;
};

static int cuts(int fd, void *arg)
{
	struct cutter *cutter = arg;
	struct unidax_info info = { .size = sizeof(info) };
	unsigned long i;

	for (i = cutter->begin; !cutter->answer && i < cutter->begin + 2 * MOST_EXTENTS; i++) {
		cutter->answer = resize_fd(fd, i * cutter->unit, 0);
		if (!cutter->answer)
			cutter->answer = resize_fd(cutter->other, i * cutter->unit, 0);
	}
	if (ioctl(fd, UNIDAX_GET_INFO, &info))
		return 1;
	cutter->extents = info.extents;
	cutter->bytes = info.bytes;
	return 0;
}

TEST_F(security, extents_are_counted)
{
	const unsigned long u = self->unit, first = MOST_EXTENTS - 6;
	struct cutter *cutter = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char other[NAME_LENGTH];
	unsigned long i;

	REQUIRE_HOLDER();
	if (self->region.size / u < 2 * MOST_EXTENTS + 64)
		SKIP(return, "the region is not large enough to be cut so finely");
	ASSERT_EQ(0, dax_resize(self->name, 0));
	ASSERT_EQ(0, instance_create(&self->region, other));
	/* The administrator has begun. */
	for (i = 1; i <= first; i++) {
		ASSERT_EQ(0, dax_resize(self->name, i * u));
		ASSERT_EQ(0, dax_resize(other, i * u));
	}
	EXPECT_EQ(0, root_writes(self->name, "size_limit", "0x7fffffffffffffff"));
	EXPECT_EQ(0, root_writes(other, "size_limit", "0x7fffffffffffffff"));
	*cutter = (struct cutter){ .unit = u, .begin = first + 1 };
	cutter->other = instance_open(other, O_RDWR);
	ASSERT_LE(0, cutter->other);
	EXPECT_EQ(0, as_holder(cuts, cutter));
	EXPECT_EQ(ENOSPC, cutter->answer);
	EXPECT_EQ(MOST_EXTENTS, cutter->extents);
	EXPECT_EQ(MOST_EXTENTS * u, cutter->bytes);
	/* One that has another behind its last cannot get more. */
	EXPECT_EQ(ENOSPC, holder_resizes((MOST_EXTENTS + 1) * u));
	EXPECT_EQ(0, root_resizes((MOST_EXTENTS + 1) * u));
	/* No more pieces than there are: it joins the last. */
	EXPECT_EQ(0, dax_resize(other, 0));
	EXPECT_EQ(0, root_resizes((MOST_EXTENTS + 2) * u));
	close(cutter->other);
	munmap(cutter, PAGE);
}

static int listen_to_uevents(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	int size = MIB(8);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -1 : fd;
}

/* How many are waiting that are about a device. */
static int count_uevents(int fd)
{
	char text[4096];
	int count = 0;
	ssize_t n;

	while ((n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		text[n] = '\0';
		count += !!strstr(text, "/dax");
	}
	return count;
}

static int says_the_same_size(int fd, void *arg)
{
	unsigned long bytes = bytes_of(fd);
	int i;

	for (i = 0; i < 20; i++)
		if (resize_fd(fd, bytes, 0))
			return 1;
	return 0;
}

static int asks_too_much(int fd, void *arg)
{
	unsigned long bytes = bytes_of(fd);
	int i;

	for (i = 0; i < 2000; i++)
		if (resize_fd(fd, 2 * bytes, 0) != EPERM)
			return 1;
	return 0;
}

/* For a second. */
static int grows_and_shrinks(int fd, void *arg)
{
	unsigned long unit = *(unsigned long *)arg, i;
	double until = seconds() + 1;

	for (i = 0; seconds() < until; i++)
		if (resize_fd(fd, (i % 2 ? 4 : 3) * unit, 0))
			return 1;
	return 0;
}

TEST_F(security, uevents_are_few)
{
	int listener, told;
	double start;

	REQUIRE_HOLDER();
	listener = listen_to_uevents();
	ASSERT_LE(0, listener);
	EXPECT_EQ(0, as_holder(says_the_same_size, NULL));
	EXPECT_EQ(0, as_holder(asks_too_much, NULL));
	EXPECT_EQ(0, count_uevents(listener));
	root_writes(self->name, "allow_shrink", "1");
	start = seconds();
	EXPECT_EQ(0, as_holder(grows_and_shrinks, &self->unit));
	told = count_uevents(listener);
	TH_LOG("%d events in %.1f s", told, seconds() - start);
	EXPECT_GE(101 * (seconds() - start) + 1, told);
	EXPECT_LE(1, told);
	close(listener);
}

static int maps_what_is_refused(int fd, void *arg)
{
	int i;

	for (i = 0; i < 500; i++) {
		if (mmap_errno(NULL, GIB(1), PROT_READ, MAP_PRIVATE, fd, 0) != EINVAL)
			return 1;
		/* 4 KiB pages take any. */
		mmap_errno(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	}
	return 0;
}

TEST_F(security, log_lines_are_few)
{
	char line[8192];
	int log, count = 0;
	ssize_t n;

	REQUIRE_HOLDER();
	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, log);
	lseek(log, 0, SEEK_END);
	EXPECT_EQ(0, as_holder(maps_what_is_refused, NULL));
	while ((n = read(log, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		line[n > 0 ? n : 0] = '\0';
		count += !!strstr(line, "refused");
	}
	EXPECT_GE(60, count);
	close(log);
}

/* --- things that are held, and calls that last ---------------------------------- */

/* As many descriptors as he may have, then sleep. */
static int opens_much(int fd, void *arg)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* A container has no /proc. */
	while (open(path, O_RDWR) >= 0 || (errno == ENOENT && open("/dax", O_RDWR) >= 0))
		;
	pause();
	return 0;
}

/* A mapping for each unit, as many as he may have: with holes, so that none merge. */
static int maps_much(int fd, void *arg)
{
	unsigned long unit = *(unsigned long *)arg, length = bytes_of(fd);
	unsigned long at = 0;
	char *p;

	while ((p = map_shared(fd, unit, at)) != MAP_FAILED) {
		touch_write(p, 1);
		/* Not the same offset side by side, nor one that follows. */
		at = at ? 0 : length - unit;
	}
	pause();
	return 0;
}

static int maps_and_unmaps(int fd, void *arg)
{
	unsigned long length = bytes_of(fd);

	while (true) {
		char *p = map_shared(fd, length, 0);
		unsigned long at;

		if (p == MAP_FAILED)
			return errno == ENXIO ? 0 : 1;
		for (at = 0; at < length; at += PAGE * 64)
			if (touch_write(p + at, 1))
				break;
		munmap(p, length);
	}
}

static int waits_on_futexes(int fd, void *arg)
{
	unsigned long unit = *(unsigned long *)arg;
	int *word = map_shared(fd, unit, bytes_of(fd) - unit);

	if (word == MAP_FAILED)
		return 1;
	while (true)
		syscall(SYS_futex, word, FUTEX_WAIT, *word, NULL, NULL, 0);
}

/* write() from a page that nobody ever brings. */
static int writes_from_nowhere(int fd, void *arg)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);

	range.range.start = (unsigned long)page;
	range.range.len = PAGE;
	/* Where the kernel's own faults may not be caught, a write is EFAULT: then sleep. */
	if (uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) && !ioctl(uffd, UFFDIO_REGISTER, &range))
		(void)!write(fd, page, PAGE);
	pause();
	return 0;
}

static int clears_for_ever(int fd, void *arg)
{
	while (true) {
		struct unidax_zero zero = { .size = sizeof(zero), .bytes = bytes_of(fd) };

		if (ioctl(fd, UNIDAX_ZERO, &zero) && errno == ENXIO)
			return 0;
	}
}

static int syncs_and_reads_for_ever(int fd, void *arg)
{
	static char buffer[KIB(64)];

	while (true) {
		if (fsync(fd) && errno == ENXIO)
			return 0;
		if (lseek(fd, 0, SEEK_END) < 0 || pread(fd, buffer, sizeof(buffer), 0) < 0)
			return 0;
	}
}

/* What an administrator does in the life of a device, all of it within the limit. */
#define ADMINISTRATOR_CAN_WORK() do {						\
	unsigned long _u = self->unit;						\
	int _i;									\
										\
	nap_ms(150);								\
	for (_i = 0; _i < 3; _i++) {						\
		EXPECT_EQ(0, root_resizes((5 + _i) * _u));			\
		EXPECT_EQ(0, root_resizes((6 + _i) * _u));			\
	}									\
	EXPECT_EQ(0, root_resizes(0));						\
	EXPECT_EQ(0, root_tells_region(&self->region, "delete", self->name));	\
	EXPECT_EQ(0, root_tells_region(&self->region, "create", "1"));		\
} while (0)

TEST_F(security, descriptors)
{
	REQUIRE_HOLDER();
	while (self->busy < CREW)
		crew_start(opens_much, NULL);
	ADMINISTRATOR_CAN_WORK();
}

TEST_F(security, mappings)
{
	REQUIRE_HOLDER();
	while (self->busy < CREW - 1)
		crew_start(maps_and_unmaps, NULL);
	crew_start(maps_much, &self->unit);
	ADMINISTRATOR_CAN_WORK();
}

TEST_F(security, waiters)
{
	REQUIRE_HOLDER();
	while (self->busy < CREW / 2)
		crew_start(waits_on_futexes, &self->unit);
	while (self->busy < CREW)
		crew_start(writes_from_nowhere, NULL);
	ADMINISTRATOR_CAN_WORK();
}

TEST_F(security, calls_that_last)
{
	double start;
	int i;

	REQUIRE_HOLDER();
	/* What is stale is cleared already, for the ioctl. */
	ASSERT_EQ(0, region_write(&self->region, "clear", "eager"));
	while (self->busy < CREW / 2)
		crew_start(clears_for_ever, NULL);
	while (self->busy < CREW)
		crew_start(syncs_and_reads_for_ever, NULL);
	nap_ms(150);
	/* A growth has nothing to wait for. */
	for (i = 5; i < 10; i++)
		EXPECT_EQ(0, root_resizes(i * self->unit));
	EXPECT_EQ(0, root_resizes(self->region.size < MIB(64) ? self->region.size : MIB(64)));
	nap_ms(50);
	start = seconds();
	dismiss(self->crew, &self->busy);
	EXPECT_GT(AT_MOST, seconds() - start);
}

/* A page that stays pinned refuses what takes it away, and nothing else. */
static int pins(int fd, void *arg)
{
	struct pinned pinned = { *(unsigned long *)arg, 1 };

	/* Not his to shrink. */
	if (shrinks_what_he_pins(fd, &pinned) != EPERM)
		return 1;
	pause();
	return 0;
}

TEST_F(security, pinned_pages)
{
	REQUIRE_HOLDER();
	set_timeout_ms(100);
	crew_start(pins, &self->unit);
	nap_ms(200);
	EXPECT_TRUE(child_runs(self->crew[0]));
	EXPECT_EQ(0, root_resizes(6 * self->unit));
	EXPECT_EQ(0, root_resizes(4 * self->unit));
	EXPECT_EQ(EBUSY, root_resizes(3 * self->unit));
	EXPECT_EQ(4 * self->unit, size_is());
	dismiss(self->crew, &self->busy);
	EXPECT_EQ(0, root_resizes(0));
}

/* --- rights ------------------------------------------------------------------------ */

static int clears_what_he_may_write(int fd, void *arg)
{
	struct unidax_zero zero = { .size = sizeof(zero), .bytes = bytes_of(fd) };

	return ioctl(fd, UNIDAX_ZERO, &zero) ? errno : 0;
}

static int reader(int readable, void *arg)
{
	char *p = mmap(NULL, bytes_of(readable), PROT_READ, MAP_SHARED, readable, 0);
	struct unidax_zero zero = { .size = sizeof(zero), .bytes = bytes_of(readable) };

	if (p == MAP_FAILED || touch_read(p))
		return 1;
	if (!mprotect(p, bytes_of(readable), PROT_READ | PROT_WRITE))
		return 2;
	if (resize_fd(readable, bytes_of(readable), 0) != EBADF)
		return 3;
	if (!ioctl(readable, UNIDAX_ZERO, &zero) || errno != EBADF)
		return 4;
	return write(readable, "x", 1) >= 0 || errno != EBADF ? 5 : 0;
}

TEST_F(security, access)
{
	pid_t pid;
	int fd;

	REQUIRE_HOLDER();
	EXPECT_EQ(0, as_holder(clears_what_he_may_write, NULL));
	pid = fork();
	if (!pid) {
		fd = become_holder(variant->who, self->node, O_RDONLY);
		_exit(fd < 0 ? UNABLE : reader(fd, NULL));
	}
	EXPECT_EQ(0, ends_within(pid, AT_MOST));
}

/* The attributes are there for everybody to read, all the time and many times. */
static int reads_attributes_for_ever(void *arg)
{
	const struct region *region = arg;
	char path[PATH_MAX + 64], text[4096];
	static const char *const of_device[] = {
		"size", "align", "mode", "size_limit", "allow_shrink", "statistics/faults_4k",
		"statistics/resizes", "statistics/drain_ms",
	};
	static const char *const of_region[] = {
		"available_size", "create", "seed", "badblocks", "clear", "size",
	};
	unsigned int i;
	int fds[64];

	if (!become_nobody())
		return UNABLE;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), UNIDAX_CLASS "/dax%d.0/size", region->id);
	/* Woken by each change. */
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = open(path, O_RDONLY);
	while (true) {
		for (i = 0; i < ARRAY_SIZE(of_device); i++) {
			snprintf(path, sizeof(path), UNIDAX_CLASS "/dax%d.0/%s", region->id,
				 of_device[i]);
			sysfs_read(path, text, sizeof(text));
		}
		for (i = 0; i < ARRAY_SIZE(of_region); i++) {
			snprintf(path, sizeof(path), "%s/%s", region->dir, of_region[i]);
			sysfs_read(path, text, sizeof(text));
		}
		for (i = 0; i < ARRAY_SIZE(fds); i++) {
			struct pollfd one = { .fd = fds[i], .events = POLLPRI };

			poll(&one, 1, 0);
			(void)!pread(fds[i], text, sizeof(text), 0);
		}
	}
}

TEST_F(security, attributes)
{
	REQUIRE_HOLDER();
	if (variant->who != HOLDER_USER)
		SKIP(return, "the same for whoever it is");
	while (self->busy < CREW) {
		pid_t pid = fork();

		if (!pid)
			_exit(reads_attributes_for_ever(&self->region));
		self->crew[self->busy++] = pid;
	}
	ADMINISTRATOR_CAN_WORK();
}

static int looks_where_addresses_are(void *arg)
{
	const char *name = arg;
	char path[PATH_MAX];

	if (!become_root_of_nothing())
		return UNABLE;
	snprintf(path, sizeof(path), "/sys/kernel/debug/unidax/%s", name);
	if (try_open(path, O_RDONLY) != -EACCES)
		return 1;
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/resource", name);
	if (try_open(path, O_RDONLY) != -EACCES)
		return 2;
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/mapping0/start", name);
	if (try_open(path, O_RDONLY) != -EACCES)
		return 3;
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/size_limit", name);
	if (try_open(path, O_WRONLY) != -EACCES)
		return 4;
	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/allow_shrink", name);
	return try_open(path, O_WRONLY) != -EACCES ? 5 : 0;
}

TEST_F(security, addresses_are_for_root)
{
	int verdict;

	REQUIRE_HOLDER();
	if (variant->who != HOLDER_NAMESPACE)
		SKIP(return, "the same for whoever it is");
	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	verdict = in_child(looks_where_addresses_are, self->name);
	EXPECT_EQ(0, verdict);
}

TEST_HARNESS_MAIN

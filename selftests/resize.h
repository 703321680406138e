/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of sub-division and resize share: regions and their instances
 * through sysfs, the extents of an instance, what must hold of a region at any
 * time, and processes that touch memory while somebody else takes it away.
 * Include it after unidax_test.h, kselftest_harness.h and module_test.h.
 *
 * The tests own every region that they use: they delete its instances, and leave
 * it with one of modest size.
 *
 * Environment, all optional:
 *   UNIDAX_SEED		of what is random; printed when it is not set
 *   UNIDAX_EXPECT_ALIGNS	alignments of regions that must be there
 */
#ifndef RESIZE_H
#define RESIZE_H

#include <glob.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>

/* Of a kernel that has it, else of the tree that these tests came with. */
#if __has_include(<linux/unidax.h>)
#include <linux/unidax.h>
#else
#include "../include/uapi/linux/unidax.h"
#endif

#define MAX_INSTANCES 32
#define MAX_EXTENTS 512
#define NAME_LENGTH 32

struct region {
	char dir[PATH_MAX];		/* .../dax_region; empty when there is none */
	int id;				/* the R of daxR.I */
	unsigned long long start;	/* physical */
	unsigned long size;		/* bytes */
	unsigned long align;		/* bytes */
};

struct extent {
	unsigned long long start;	/* physical */
	unsigned long size;		/* bytes */
	unsigned long offset;		/* bytes, in the instance */
};

/* --- attributes -------------------------------------------------------- */

static inline int write_text(const char *path, const char *format, va_list args)
{
	char text[256];

	vsnprintf(text, sizeof(text), format, args);
	return sysfs_write(path, text);
}

/* 0 or a negative errno. */
__attribute__((format(printf, 3, 4)))
static inline int region_write(const struct region *region, const char *attr,
			       const char *format, ...)
{
	char path[PATH_MAX + 64];
	va_list args;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", region->dir, attr);
	va_start(args, format);
	ret = write_text(path, format, args);
	va_end(args);
	return ret;
}

/* 0 or a negative errno. */
__attribute__((format(printf, 3, 4)))
static inline int dax_write(const char *name, const char *attr, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	int ret;

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/%s", name, attr);
	va_start(args, format);
	ret = write_text(path, format, args);
	va_end(args);
	return ret;
}

static inline int dax_resize(const char *name, unsigned long size)
{
	return dax_write(name, "size", "%lu", size);
}

static inline long long dax_number(const char *name, const char *attr)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), UNIDAX_CLASS "/%s", name);
	return sysfs_number(dir, attr);
}

static inline long long region_number(const struct region *region, const char *attr)
{
	return sysfs_number(region->dir, attr);
}

/* The permission bits, or a negative errno. */
static inline int mode_of(const char *dir, const char *attr)
{
	char path[PATH_MAX + 64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	return stat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

#define TIMEOUT_PARAMETER "/sys/module/unidax/parameters/resize_timeout_ms"

/* How long a shrink waits; what it was, or a negative errno. */
static inline long set_timeout_ms(unsigned int ms)
{
	long long before = sysfs_number("/sys/module/unidax/parameters", "resize_timeout_ms");
	char text[32];
	int ret;

	if (before < 0)
		return -errno;
	snprintf(text, sizeof(text), "%u", ms);
	ret = sysfs_write(TIMEOUT_PARAMETER, text);
	return ret ? ret : before;
}

/* --- regions ----------------------------------------------------------- */

static inline bool region_read(const char *dir, struct region *region)
{
	unsigned long long start;
	char line[256], word[64];
	FILE *f;

	memset(region, 0, sizeof(*region));
	region->id = sysfs_number(dir, "id");
	region->size = sysfs_number(dir, "size");
	region->align = sysfs_number(dir, "align");
	f = fopen("/proc/iomem", "r");
	while (f && fgets(line, sizeof(line), f)) {
		snprintf(word, sizeof(word), ": dax_region%d\n", region->id);
		if (strstr(line, word) && sscanf(line, " %llx-", &start) == 1)
			region->start = start;
	}
	if (f)
		fclose(f);
	snprintf(region->dir, sizeof(region->dir), "%s", dir);
	return region->start;
}

/* The nth region of an alignment (0: any); false when there is none. */
static inline bool region_find_nth(unsigned long align, int nth, struct region *region)
{
	bool found = false;
	glob_t paths;
	size_t i;

	if (!glob("/sys/devices/platform/*/dax_region", 0, NULL, &paths)) {
		for (i = 0; i < paths.gl_pathc && !found; i++)
			found = region_read(paths.gl_pathv[i], region) &&
				(!align || region->align == align) && !nth--;
		globfree(&paths);
	}
	if (!found)
		memset(region, 0, sizeof(*region));
	return found;
}

static inline bool region_find(unsigned long align, struct region *region)
{
	return region_find_nth(align, 0, region);
}

typedef char instance_name[NAME_LENGTH];

/* The names of a region's instances, sorted; how many. */
static inline int region_instances(const struct region *region, instance_name *names)
{
	struct dirent **list;
	char prefix[32];
	int i, n, count = 0;

	snprintf(prefix, sizeof(prefix), "dax%d.", region->id);
	n = scandir(UNIDAX_CLASS, &list, NULL, alphasort);
	for (i = 0; i < n; i++) {
		if (!strncmp(list[i]->d_name, prefix, strlen(prefix)) && count < MAX_INSTANCES)
			snprintf(names[count++], NAME_LENGTH, "%.31s", list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return count;
}

/* Make one more instance: 0 and its name, or a negative errno. */
static inline int instance_create(const struct region *region, char *name)
{
	char path[PATH_MAX + 16];
	ssize_t n;
	int ret = region_write(region, "create", "1");

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/create", region->dir);
	n = sysfs_read(path, name, NAME_LENGTH);
	return n < 0 ? (int)n : 0;
}

/* Make one of that size. */
static inline int instance_create_sized(const struct region *region, char *name,
					unsigned long size)
{
	int ret = instance_create(region, name);

	return ret ? ret : dax_resize(name, size);
}

/* With its memory or without. */
static inline int instance_delete(const struct region *region, const char *name)
{
	int ret = dax_resize(name, 0);

	return ret ? ret : region_write(region, "delete", "%s", name);
}

static inline int region_empty(const struct region *region)
{
	instance_name names[MAX_INSTANCES];
	int i, n = region_instances(region, names), ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = instance_delete(region, names[i]);
	return ret;
}

/* One instance, as a region has at first, but not of all of it: clearing takes its time. */
static inline int region_restore(const struct region *region)
{
	unsigned long most = region->align < MIB(32) ? MIB(32) : region->align;
	unsigned long size = region->size < most ? region->size : most;
	char name[NAME_LENGTH];
	int ret = region_empty(region);

	return ret ? ret : instance_create_sized(region, name, size);
}

/* The extents of an instance, in order; how many, or a negative errno. */
static inline int instance_extents(const char *name, struct extent *extents)
{
	char dir[PATH_MAX];
	int n;

	for (n = 0; n < MAX_EXTENTS; n++) {
		long long start, end, page_offset;

		snprintf(dir, sizeof(dir), UNIDAX_CLASS "/%s/mapping%d", name, n);
		if (access(dir, F_OK))
			return n;
		start = sysfs_number(dir, "start");
		end = sysfs_number(dir, "end");
		page_offset = sysfs_number(dir, "page_offset");
		if (start < 0 || end < start || page_offset < 0)
			return -EINVAL;
		extents[n].start = start;
		extents[n].size = end - start + 1;
		extents[n].offset = page_offset * PAGE;
	}
	return -E2BIG;
}

#define MAX_BAD_UNITS 1024

/* The units of a region that have a bad page, in order, unless NULL; how many, or -errno. */
static inline int region_bad_units(const struct region *region, unsigned long long *units)
{
	unsigned long long first, count, unit, last = -1ULL;
	char path[PATH_MAX + 16];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/badblocks", region->dir);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	/* In sectors. */
	while (fscanf(f, "%llu %llu", &first, &count) == 2) {
		unit = first * 512 / region->align;
		for (; unit * region->align < (first + count) * 512; unit++) {
			if (unit == last || n == MAX_BAD_UNITS)
				continue;
			last = unit;
			if (units)
				units[n] = region->start + unit * region->align;
			n++;
		}
	}
	fclose(f);
	return n;
}

static inline int extents_by_start(const void *one, const void *other)
{
	const struct extent *a = one, *b = other;

	return a->start < b->start ? -1 : a->start > b->start;
}

/*
 * What must hold of a region whenever nobody is changing it: the instances'
 * sizes and what is available are all of it; an instance's extents follow each
 * other and are its size; no byte belongs to two. Says what does not.
 */
static inline bool region_adds_up(const struct region *region)
{
	static unsigned long long bad[MAX_BAD_UNITS];
	static struct extent all[MAX_INSTANCES * MAX_EXTENTS];
	instance_name names[MAX_INSTANCES];
	unsigned long long sum = region_number(region, "available_size");
	int i, j, n, total = 0, count = region_instances(region, names);
	bool good = true;

	for (i = 0; i < count; i++) {
		long long size = dax_number(names[i], "size");
		unsigned long at = 0;

		n = instance_extents(names[i], all + total);
		if (n < 0) {
			printf("# %s: its mappings cannot be read: %s\n", names[i], strerror(-n));
			return false;
		}
		for (j = total; j < total + n; j++) {
			if (all[j].offset != at) {
				printf("# %s: mapping%d is at %#lx, not at %#lx\n", names[i],
				       j - total, all[j].offset, at);
				good = false;
			}
			at += all[j].size;
		}
		/* It is not told of System RAM. */
		if (size != -1 && size != (long long)at) {
			printf("# %s: size %#llx, but its mappings have %#lx\n", names[i],
			       size, at);
			good = false;
		}
		total += n;
		sum += at;
	}
	/* A bad unit is free and not available, unless an instance has it. */
	n = region_bad_units(region, bad);
	for (i = 0; i < n; i++) {
		for (j = 0; j < total; j++)
			if (all[j].start <= bad[i] && bad[i] < all[j].start + all[j].size)
				break;
		if (j == total)
			sum += region->align;
	}
	if (sum != region->size) {
		printf("# available_size and all sizes are %#llx, the region %#lx\n", sum,
		       region->size);
		good = false;
	}
	qsort(all, total, sizeof(*all), extents_by_start);
	for (i = 0; i < total; i++) {
		unsigned long long end = i + 1 < total ? all[i + 1].start :
			region->start + region->size;

		if (all[i].start < region->start || all[i].start + all[i].size > end) {
			printf("# the extent at %#llx overlaps the next, or leaves the region\n",
			       all[i].start);
			good = false;
		}
	}
	fflush(stdout);
	return good;
}

#define REQUIRE_REGION(_region, _align) do {					\
	if (!(_region)->dir[0]) {						\
		ASSERT_FALSE(dax_expected(_align)) {				\
			TH_LOG("no region with align %lu", (unsigned long)(_align)); \
		}								\
		SKIP(return, "no region with align %lu", (unsigned long)(_align)); \
	}									\
} while (0)

/* The two alignments of regions that are cheap to test. */
#define REGION_VARIANTS(fixture)						\
	FIXTURE_VARIANT(fixture) { unsigned long align; };			\
	FIXTURE_VARIANT_ADD(fixture, 4k) { .align = KIB(4) };			\
	FIXTURE_VARIANT_ADD(fixture, 2m) { .align = MIB(2) }

/* Whether region/clear has that text. */
static inline bool region_clear_is(const struct region *region, const char *text)
{
	char path[PATH_MAX + 16], now[32];

	snprintf(path, sizeof(path), "%s/clear", region->dir);
	return sysfs_read(path, now, sizeof(now)) >= 0 && !strcmp(now, text);
}

/* Whether the provider was told that the region is persistent, or (word) something else of it. */
static inline bool region_declared(const struct region *region, const char *word)
{
	char ranges[1024], *line, *at, *end, *save = NULL;

	if (sysfs_read("/sys/module/" UNIDAX_RESERVED_MODULE "/parameters/range", ranges,
		       sizeof(ranges)) <= 0)
		return false;
	for (line = strtok_r(ranges, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		at = strchr(line, '@');
		if (at && parse_size(at + 1, &end) == region->start && strstr(end, word))
			return true;
	}
	return false;
}

static inline bool region_persistent(const struct region *region)
{
	return region_declared(region, ",persistent");
}

/* --- the provider that is loaded --------------------------------------- */

static inline const char *loaded_provider(void)
{
	if (module_loaded(UNIDAX_RESERVED_MODULE))
		return UNIDAX_RESERVED_MODULE;
	return module_loaded(UNIDAX_HMEM) ? UNIDAX_HMEM : NULL;
}

/* For the first lines of a test that unloads it. */
#define REQUIRE_PROVIDER_MODULE(_provider) do {					\
	if (!(_provider))							\
		SKIP(return, "no provider that can be unloaded");		\
} while (0)

/* The parameters that it was loaded with; none if there is no such provider. */
static inline void loaded_parameters(const char *provider, char *text, size_t size)
{
	char ranges[1024], *line, *save = NULL;
	size_t n = 0;

	text[0] = '\0';
	if (!provider || strcmp(provider, UNIDAX_RESERVED_MODULE) ||
	    sysfs_read("/sys/module/" UNIDAX_RESERVED_MODULE "/parameters/range", ranges,
		       sizeof(ranges)) <= 0)
		return;
	for (line = strtok_r(ranges, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		n += snprintf(text + n, size - n, "range=%s ", line);
}

/* The provider anew, with these parameters or (NULL) its own: 0 or a negative errno. */
static inline int provider_reload(const char *parameters)
{
	const char *provider = loaded_provider();
	char own[2048];
	int ret;

	if (!provider)
		return -ENODEV;
	loaded_parameters(provider, own, sizeof(own));
	ret = module_unload(provider);
	return ret ? ret : module_load(provider, parameters ? parameters : own);
}

/*
 * Load a provider whose range somebody may still hold, within so many seconds, and find the region.
 */
static inline bool provider_load_soon(const char *provider, const char *parameters,
				      unsigned long align, struct region *region, double limit)
{
	double until;

	for (until = seconds() + limit * UNIDAX_PATIENCE; seconds() < until; nap_ms(50)) {
		if (module_load(provider, parameters))
			continue;
		if (region_find(align, region))
			return true;
		module_unload(provider);
	}
	return false;
}

/* All modules anew, the core with these parameters: 0 or a negative errno. */
static inline int stack_reload_with(const char *core)
{
	const char *provider = loaded_provider();
	char parameters[1024];
	int ret;

	if (!provider)
		return -ENODEV;
	loaded_parameters(provider, parameters, sizeof(parameters));
	ret = module_unload(provider);
	/* What is still on its way out holds it for a moment. */
	ret = ret ? ret : module_unload_soon(UNIDAX_CORE, 10);
	ret = ret ? ret : module_load(UNIDAX_CORE, core);
	return ret ? ret : module_load(provider, parameters);
}

/* All modules anew, as if no memory had ever been bad. */
static inline int stack_reload(void)
{
	return stack_reload_with("forget_bad_pages=1");
}

/* For what leaves bad pages behind: only a core module that is loaded anew can forget them. */
#define REQUIRE_FORGETTING() do {						\
	if (module_built_in(UNIDAX_CORE))					\
		SKIP(return, UNIDAX_CORE " is built into the kernel");		\
} while (0)

/* --- nodes ------------------------------------------------------------- */

/* A descriptor or a negative errno; waits for the node a little. */
static inline int instance_open(const char *name, int flags)
{
	char node[64];

	snprintf(node, sizeof(node), "/dev/%s", name);
	return try_open(node, flags);
}

/* The only device of a region, of some size, open and mapped; "", or what cannot be done. */
static inline const char *instance_alone(const struct region *region, unsigned long size,
					 char *name, int *fd, char **p)
{
	if (region_empty(region))
		return "cannot empty the region";
	if (instance_create_sized(region, name, size))
		return "cannot make a device";
	*fd = instance_open(name, O_RDWR);
	if (*fd < 0)
		return "cannot open it";
	*p = map_shared(*fd, size, 0);
	return *p == MAP_FAILED ? "cannot map it" : "";
}

/* The descriptor and the mapping of one, of which either may be gone. */
static inline void instance_let_go(int *fd, char **p, unsigned long size)
{
	if (*p)
		munmap(*p, size);
	*p = NULL;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline dev_t instance_devt(const char *name)
{
	unsigned int major = 0, minor = 0;
	char path[PATH_MAX], text[64];

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/dev", name);
	if (sysfs_read(path, text, sizeof(text)) > 0)
		sscanf(text, "%u:%u", &major, &minor);
	return makedev(major, minor);
}

/* --- bytes ------------------------------------------------------------- */

static inline void fill(void *to, size_t length, unsigned int seed)
{
	uint64_t *p = to, x = seed * 0x9e3779b97f4a7c15ULL + 1;
	size_t i;

	for (i = 0; i < length / 8; i++)
		p[i] = x += 0x9e3779b97f4a7c15ULL;
}

/* Offset of the first byte, in steps of 8, that fill() did not put there; length if none. */
static inline size_t differs(const void *from, size_t length, unsigned int seed)
{
	const uint64_t *p = from;
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;
	size_t i;

	for (i = 0; i < length / 8; i++) {
		x += 0x9e3779b97f4a7c15ULL;
		if (p[i] != x)
			break;
	}
	return i * 8;
}

/* Offset of the first byte, in steps of 8, that is not zero; length if none. */
static inline size_t not_zero(const void *from, size_t length)
{
	const uint64_t *p = from;
	size_t i;

	for (i = 0; i < length / 8; i++)
		if (p[i])
			break;
	return i * 8;
}

/* --- random numbers ---------------------------------------------------- */

struct random {
	uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline unsigned long random_below(struct random *random, unsigned long limit)
{
	return limit ? random_next(random) % limit : 0;
}

/* UNIDAX_SEED, or another one each time; printed. */
static inline struct random random_seeded(void)
{
	struct timespec now;
	struct random random;

	clock_gettime(CLOCK_REALTIME, &now);
	random.state = number_from_environment("UNIDAX_SEED",
					       (now.tv_sec * 1000003UL + now.tv_nsec) & 0xffffff);
	fprintf(TH_LOG_STREAM, "# UNIDAX_SEED=%llu\n", (unsigned long long)random.state);
	return random;
}

/* --- a process that does as it is told --------------------------------- */

struct servant {
	pid_t pid;
	int to, from;
};

struct order {
	char verb;		/* r: read a byte, w: write one, m: map, q: quit */
	unsigned char value;
	unsigned long at;	/* offset in the mapping */
	char node[PATH_MAX];	/* m: of what; length in at */
};

struct answer {
	int signal;		/* or errno, for m */
	int code;		/* si_code */
	unsigned char value;
};

static inline void servant_serve(int from, int to, char *p)
{
	struct order order;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(from, &order, sizeof(order)) == sizeof(order)) {
		struct answer answer = { 0 };

		switch (order.verb) {
		case 'r':
			answer.signal = touch(p + order.at, -1, &answer.value);
			break;
		case 'w':
			answer.signal = touch_write(p + order.at, order.value);
			break;
		case 'm':
			fd = open(order.node, O_RDWR | O_CLOEXEC);
			p = fd < 0 ? MAP_FAILED : map_shared(fd, order.at, 0);
			answer.signal = p == MAP_FAILED ? errno : 0;
			close(fd);
			break;
		default:
			_exit(0);
		}
		answer.code = touch_code;
		if (write(to, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

/* A child, which has p as its mapping until it is told to map something. */
static inline struct servant servant_start(char *p)
{
	struct servant servant = { .pid = -1 };
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return servant;
	servant.pid = fork();
	if (!servant.pid) {
		close(to[1]);
		close(from[0]);
		servant_serve(to[0], from[1], p);
	}
	close(to[0]);
	close(from[1]);
	servant.to = to[1];
	servant.from = from[0];
	return servant;
}

/* The signal or errno; -1 when the servant is no more. */
static inline int servant_order(struct servant *servant, struct order order,
				unsigned char *value)
{
	struct answer answer;

	if (write(servant->to, &order, sizeof(order)) != sizeof(order) ||
	    read(servant->from, &answer, sizeof(answer)) != sizeof(answer))
		return -1;
	if (value)
		*value = answer.value;
	return answer.signal;
}

static inline int servant_map(struct servant *servant, const char *node, size_t length)
{
	struct order order = { .verb = 'm', .at = length };

	snprintf(order.node, sizeof(order.node), "%s", node);
	return servant_order(servant, order, NULL);
}

static inline int servant_read(struct servant *servant, size_t at, unsigned char *value)
{
	return servant_order(servant, (struct order){ .verb = 'r', .at = at }, value);
}

static inline int servant_write(struct servant *servant, size_t at, unsigned char value)
{
	return servant_order(servant, (struct order){ .verb = 'w', .at = at, .value = value },
			     NULL);
}

static inline int servant_end(struct servant *servant)
{
	struct order quit = { .verb = 'q' };

	/* By its word: later servants have inherited the pipe. */
	if (write(servant->to, &quit, sizeof(quit)) != sizeof(quit))
		kill(servant->pid, SIGKILL);
	close(servant->to);
	close(servant->from);
	return child_verdict(servant->pid);
}

/* --- a process that resizes -------------------------------------------- */

/* Its exit code is the errno. */
static inline pid_t resize_in_child(const char *name, unsigned long size)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(-dax_resize(name, size));
}

/* Whether it is still at it. */
static inline bool child_runs(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && !info.si_pid;
}

#endif /* RESIZE_H */

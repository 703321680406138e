// SPDX-License-Identifier: GPL-2.0
/*
 * bench: what device-DAX costs, the kernel's own driver and unidax measured by the
 * same program. It prints one line for each figure, "NAME VALUE", and nothing
 * else on its standard output; scripts/bench.sh makes tables of them.
 *
 *   bench stock|unidax FILE...	loads the driver named, measures everything, unloads it.
 *				Wants a machine with soft-reserved memory whose time
 *				stamp counter counts instructions (scripts/vm.sh
 *				--icount --smp=1), and destroys what that memory holds.
 *   bench scale FILE...		how unidax's costs grow, on the same kind of machine;
 *				lines are "NAME NUMBER VALUE"
 *   bench trace DRIVER FILE...	does a few things between marks, for
 *				scripts/bench/trace.c; prints the kernel's symbols
 *   bench device NODE ALIGN	what one device of any driver costs on this machine, in
 *				nanoseconds and, where the processor's counters can be
 *				used, instructions; overwrites nothing but the first byte
 *				of pages
 *
 * What is small is measured in several layouts of the process's address space, see
 * MEASURE(), the rest as a median.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/linux/unidax.h"
#include "../../selftests/uring.h"

#ifndef __x86_64__
#error "reads the time stamp counter of x86"
#endif

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define GIB(n) ((size_t)(n) << 30)
#define PAGE KIB(4)

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "bench: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, " (%s)\n", strerror(errno));
	exit(1);
}

/* --- output: kept until the end, so that printing is never measured ------ */

static char output[1 << 16];
static size_t printed;
static const char *prefix = "";

static void put(const char *name, double value)
{
	printed += snprintf(output + printed, sizeof(output) - printed, "%s%s %.1f\n", prefix, name,
			    value);
	if (printed >= sizeof(output))
		fail("too much to print");
}

static void flush_output(void)
{
	if (write(1, output, printed) != (ssize_t)printed)
		fail("write");
	printed = 0;
}

/* --- counting ------------------------------------------------------------ */

static bool counts_by_perf;	/* else by the time stamp counter */
static bool in_ns;
static int perf_fd = -1;

static inline uint64_t count(void)
{
	uint64_t n;

	if (in_ns) {
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		return t.tv_sec * 1000000000ull + t.tv_nsec;
	}
	if (counts_by_perf) {
		if (read(perf_fd, &n, sizeof(n)) != sizeof(n))
			fail("reading the instruction counter");
		return n;
	}
	return __builtin_ia32_rdtsc();
}

static int perf_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.inherit = 1,
	};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/*
 * How much the kernel does for a mapping depends on where it lies in the tree of the
 * process's mappings. So small things are measured with one more mapping each time, as
 * often as a node of that tree has places (and what is long, less often), and averaged.
 */
#define LAYOUTS 16
#define LAYOUTS_OF_LONG 3
/* In each layout: the least of them has no timer interrupt in it. */
#define REPEATS 3

static void next_layout(void)
{
	static int n;

	/* It merges with neither neighbour. */
	if (mmap(NULL, PAGE, n++ % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	    MAP_FAILED)
		fail("mapping a page");
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

static inline double smaller(double a, double b)
{
	return a < b ? a : b;
}

/* Mean over layouts of _value, the least of so many repeats. */
#define OVER_LAYOUTS(_layouts, _repeats, _value) ({				\
	double _sum = 0;							\
										\
	for (int _l = 0; _l < (_layouts); _l++) {				\
		double _least = 0;						\
										\
		next_layout();							\
		for (int _r = 0; _r < (_repeats); _r++) {			\
			double _this = (_value);				\
										\
			_least = _r ? smaller(_least, _this) : _this;		\
		}								\
		_sum += _least;							\
	}									\
	_sum / (_layouts);							\
})

/* Cost of one of _times executions; the body is a statement. */
#define MEASURE(_times, _body) OVER_LAYOUTS(LAYOUTS, REPEATS, ({		\
	uint64_t _begin = count();						\
										\
	for (int _i = 0; _i < (_times); _i++)					\
		_body;								\
	(double)(count() - _begin) / (_times);					\
}))

/* Sleeps, so that work which was put off is done. */
static void settle(void)
{
	const struct timespec nap = { .tv_nsec = 60 * 1000 * 1000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

/*
 * What all tasks of the machine have executed, the one that asks and the
 * kernel's threads, work that was put off included: instructions on a machine
 * whose clock counts them.
 */
static uint64_t machine_count(void)
{
	static int fd = -1;
	char text[4096], *line;
	unsigned long long ran, sum = 0;
	ssize_t n;

	if (fd < 0)
		fd = open("/proc/schedstat", O_RDONLY | O_CLOEXEC);
	settle();
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		fail("/proc/schedstat");
	text[n] = '\0';
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (sscanf(line, "cpu%*u %*u %*u %*u %*u %*u %*u %llu", &ran) == 1)
			sum += ran;
	return sum;
}

static double machine_empty;	/* what asking costs by itself */

static uint64_t own_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/*
 * Of one execution: the caller's instructions, those of the whole machine, and
 * the nanoseconds that the caller was not running.
 */
struct cost {
	double own, machine, waited;
};

#define MACHINE_TIMES 9

/* Medians of _times executions; _before runs before each, uncounted, and knows its number _m. */
#define MACHINE_COST(_times, _before, _body) ({					\
	double _own[_times], _machine[_times], _waited[_times];			\
										\
	for (int _m = 0; _m < (_times); _m++) {					\
		uint64_t _all, _mine, _clock;					\
										\
		_before;							\
		machine_count();						\
		_all = machine_count();						\
		_clock = __builtin_ia32_rdtsc();				\
		_mine = own_time();						\
		_body;								\
		_own[_m] = own_time() - _mine;					\
		_waited[_m] = __builtin_ia32_rdtsc() - _clock - _own[_m];	\
		_machine[_m] = machine_count() - _all - machine_empty;		\
	}									\
	(struct cost){ median(_own, _times), median(_machine, _times),		\
		       median(_waited, _times) };				\
})

static void put_cost(const char *name, struct cost cost)
{
	char text[128];

	put(name, cost.machine);
	snprintf(text, sizeof(text), "%s.own", name);
	put(text, cost.own);
	snprintf(text, sizeof(text), "%s.waited_ns", name);
	put(text, cost.waited);
}

/* --- files --------------------------------------------------------------- */

static int try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

__attribute__((format(printf, 2, 3))) static void must_write(const char *path, const char *format,
							     ...)
{
	char text[128];
	va_list args;
	int rc;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rc = try_write(path, text);
	if (rc) {
		errno = -rc;
		fail("writing '%s' to %s", text, path);
	}
}

static void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (n < 0)
		fail("reading %s", path);
	close(fd);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

/* --- modules --------------------------------------------------------------- */

struct image {
	char name[64];
	void *bytes;
	size_t size;
};

static struct image read_image(const char *path)
{
	struct image image;
	const char *base = strrchr(path, '/') + 1;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		fail("%s", path);
	snprintf(image.name, sizeof(image.name), "%.*s", (int)strcspn(base, "."), base);
	image.size = st.st_size;
	image.bytes = malloc(st.st_size);
	for (size_t done = 0; done < image.size;) {
		ssize_t n = read(fd, (char *)image.bytes + done, image.size - done);

		if (n <= 0)
			fail("%s", path);
		done += n;
	}
	close(fd);
	return image;
}

static void insert(const struct image *image, const char *parameters)
{
	if (syscall(SYS_init_module, image->bytes, image->size, parameters))
		fail("loading %s %s", image->name, parameters);
}

static void removed(const struct image *image)
{
	if (syscall(SYS_delete_module, image->name, O_NONBLOCK))
		fail("unloading %s", image->name);
}

/* --- drivers ----------------------------------------------------------------- */

/*
 * What differs between the two, as the administrator does it: the kernel's driver
 * wants a device unbound before anything about it changes.
 */
struct driver {
	const char *name;
	const char *devices;		/* folder with daxR.I */
	bool binds;			/* devices have to be bound to be used */
};

static const struct driver stock = { "stock", "/sys/bus/dax/devices", true };
static const struct driver unidax = { "unidax", "/sys/class/dax", false };
static const struct driver *driver;

#define DEVICE_DAX "/sys/bus/dax/drivers/device_dax"
#define BIND DEVICE_DAX "/bind"
#define UNBIND DEVICE_DAX "/unbind"
#define NEW_ID DEVICE_DAX "/new_id"

/*
 * From 6.3 on soft-reserved memory is for kmem, and device_dax takes those of it that it has been
 * told by name; it binds them as it is told.
 */
static void bind_device(const char *name)
{
	int rc = try_write(BIND, name);

	if (rc == -ENODEV)
		must_write(NEW_ID, "%s", name);
	else if (rc)
		fail("binding %s: %s", name, strerror(-rc));
}

static char region[PATH_MAX];		/* .../dax_region */

static void find_region(void)
{
	glob_t found;

	/* By the bus: 7.3 has hmem's device below another one. */
	if (glob("/sys/bus/platform/devices/*/dax_region", 0, NULL, &found) || found.gl_pathc != 1)
		fail("one dax_region is wanted");
	snprintf(region, sizeof(region), "%s", found.gl_pathv[0]);
	globfree(&found);
}

static void device_attr(const char *device, const char *attr, unsigned long long value)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s/%s", driver->devices, device, attr);
	must_write(path, "%llu", value);
}

static void region_attr(const char *attr, const char *value)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/%s", region, attr);
	must_write(path, "%s", value);
}

static char first[64];			/* name of the device that is there from the start */
static char node[128];

static void find_device(void)
{
	char pattern[PATH_MAX];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/dax*", driver->devices);
	if (glob(pattern, 0, NULL, &found) || found.gl_pathc != 1)
		fail("one device is wanted");
	snprintf(first, sizeof(first), "%s", strrchr(found.gl_pathv[0], '/') + 1);
	snprintf(node, sizeof(node), "/dev/%s", first);
	globfree(&found);
}

/* The first device gets an alignment and a size, which goes down only. */
static void shape(size_t align, size_t size)
{
	if (driver->binds)
		must_write(UNBIND, "%s", first);
	device_attr(first, "size", size);
	device_attr(first, "align", align);
	if (driver->binds)
		bind_device(first);
}

static void create(char *name, size_t size_of_name, size_t size)
{
	char path[PATH_MAX + 32];

	region_attr("create", "1");
	snprintf(path, sizeof(path), "%s/create", region);
	if (driver->binds) {
		/* Reading gives the youngest. */
		read_text(path, name, size_of_name);
	} else {
		snprintf(path, sizeof(path), "%s/seed", region);
		read_text(path, name, size_of_name);
	}
	device_attr(name, "size", size);
	if (driver->binds)
		bind_device(name);
}

static void delete(const char *name)
{
	if (driver->binds)
		must_write(UNBIND, "%s", name);
	device_attr(name, "size", 0);
	region_attr("delete", name);
}

/* --- mappings -------------------------------------------------------------- */

static int device_open(void)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("opening %s", node);
	return fd;
}

static char *map(int fd, size_t length, int flags)
{
	char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

	if (p == MAP_FAILED)
		fail("mapping %zu bytes of %s", length, node);
	return p;
}

static inline void touch_write(char *p)
{
	*(volatile char *)p = 1;
}

static inline void touch_read(const char *p)
{
	(void)*(const volatile char *)p;
}

static void touch_all(char *p, size_t length, size_t step)
{
	for (size_t at = 0; at < length; at += step)
		touch_write(p + at);
}

/* Every page once, in an order that is the same in every run. */
static uint32_t *random_order(size_t pages)
{
	uint32_t *order = malloc(pages * sizeof(*order));
	uint64_t state = 88172645463325252ull;

	if (!order)
		fail("memory");
	for (size_t i = 0; i < pages; i++)
		order[i] = i;
	for (size_t i = pages - 1; i > 0; i--) {
		size_t other;
		uint32_t was;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		other = state % (i + 1);
		was = order[i];
		order[i] = order[other];
		order[other] = was;
	}
	return order;
}

/* Processes that map, touch and unmap at the same time; cost of one round of one of them. */
static double processes(int n, int rounds, size_t length, size_t step)
{
	int go[2], ready[2];
	uint64_t begin;
	pid_t pids[64];
	char c;

	if (pipe(go) || pipe(ready))
		fail("pipe");
	for (int i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			fail("fork");
		if (!pids[i]) {
			int fd = device_open();

			close(go[1]);
			if (write(ready[1], "r", 1) != 1 || read(go[0], &c, 1))
				_exit(1);
			for (int round = 0; round < rounds; round++) {
				char *p = map(fd, length, 0);

				touch_all(p, length, step);
				munmap(p, length);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < n; i++)
		if (read(ready[0], &c, 1) != 1)
			fail("a process did not come up");
	begin = count();
	close(go[1]);
	for (int i = 0; i < n; i++) {
		int status;

		if (waitpid(pids[i], &status, 0) != pids[i] || status)
			fail("a process failed");
	}
	begin = count() - begin;
	close(go[0]);
	close(ready[0]);
	close(ready[1]);
	return (double)begin / (n * rounds);
}

#define PROCESSES(_n, _rounds_of_each, _length, _step) ({					\
	double _rounds[5];							\
										\
	for (int _m = 0; _m < 5; _m++)						\
		_rounds[_m] = processes(_n, _rounds_of_each, _length, _step);			\
	median(_rounds, 5);							\
})

/* First touches of a mapping, each of a new one; per touch. */
static double first_touch(int fd, size_t length, bool write)
{
	enum { TIMES = 50 };
	uint64_t sum = 0, begin;

	for (int i = 0; i < TIMES; i++) {
		char *p = map(fd, length, 0);

		begin = count();
		if (write)
			touch_write(p);
		else
			touch_read(p);
		sum += count() - begin;
		munmap(p, length);
	}
	return (double)sum / TIMES;
}

/* Cost for each page of a new mapping: of touching it at random, or in order, and of its end. */
struct per_page {
	double touch, unmap;
};

static struct per_page touch_pages(int fd, size_t length, size_t step, const uint32_t *order)
{
	size_t pages = length / step;
	char *p = map(fd, length, 0);
	struct per_page cost;
	uint64_t begin;

	begin = count();
	if (order)
		for (size_t i = 0; i < pages; i++)
			touch_write(p + order[i] * step);
	else
		touch_all(p, length, step);
	cost.touch = (double)(count() - begin) / pages;
	begin = count();
	munmap(p, length);
	cost.unmap = (double)(count() - begin) / pages;
	return cost;
}

/* The same of one page in each 2 MiB, not always the same page. */
static struct per_page touch_sparsely(int fd, size_t length)
{
	size_t pages = length / MIB(2);
	char *p = map(fd, length, 0);
	struct per_page cost;
	uint64_t begin;

	begin = count();
	for (size_t i = 0; i < pages; i++)
		touch_write(p + i * MIB(2) + (i * 37 % 512) * PAGE);
	cost.touch = (double)(count() - begin) / pages;
	begin = count();
	munmap(p, length);
	cost.unmap = (double)(count() - begin) / pages;
	return cost;
}

/* All that is done with a mapping, on a device of pages of @align bytes. */
static void mapping_rows(size_t align, size_t length, size_t sparse_length)
{
	size_t span = length < align ? align : length, pages = span / align;
	bool is_long = pages > 1000;
	int layouts = is_long ? LAYOUTS_OF_LONG : LAYOUTS, repeats = is_long ? 1 : REPEATS;
	int rounds = is_long ? 4 : 256;
	uint32_t *order = random_order(pages);
	int fd;
	char *p;

	/* Everything once, so that what is made at the first use is there. */
	fd = device_open();
	p = map(fd, span, 0);
	touch_all(p, span, align);
	munmap(p, span);
	close(fd);

	put("open_close", MEASURE(100, close(device_open())));
	fd = device_open();
	put("mmap_munmap", MEASURE(100, munmap(map(fd, align, 0), align)));
	put("mmap_fault_munmap", MEASURE(50, ({
		p = map(fd, align, 0);
		touch_write(p);
		munmap(p, align);
	})));
	put("first_read", OVER_LAYOUTS(LAYOUTS, REPEATS, first_touch(fd, align, false)));
	put("first_write", OVER_LAYOUTS(LAYOUTS, REPEATS, first_touch(fd, align, true)));

	put("sequential", OVER_LAYOUTS(layouts, repeats,
				       touch_pages(fd, span, align, NULL).touch));
	put("random", OVER_LAYOUTS(layouts, repeats, touch_pages(fd, span, align, order).touch));
	put("munmap_per_page", OVER_LAYOUTS(layouts, repeats,
					    touch_pages(fd, span, align, NULL).unmap));

	if (align < MIB(2) && sparse_length) {
		put("sparse", OVER_LAYOUTS(LAYOUTS, REPEATS,
					   touch_sparsely(fd, sparse_length).touch));
		put("sparse_munmap", OVER_LAYOUTS(LAYOUTS, REPEATS,
						  touch_sparsely(fd, sparse_length).unmap));
	}

	put("populate", OVER_LAYOUTS(LAYOUTS_OF_LONG, 1, ({
		uint64_t begin = count();

		munmap(map(fd, span, MAP_POPULATE), span);
		(double)(count() - begin) / pages;
	})));

	p = map(fd, span, 0);
	touch_all(p, span, align);
	put("fork", MEASURE(3, ({
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			fail("fork");
	})));
	munmap(p, span);

	put("processes_1", PROCESSES(1, rounds, span, align) / pages);
	put("processes_2", PROCESSES(2, rounds, span, align) / pages);
	put("processes_4", PROCESSES(4, rounds, span, align) / pages);
	close(fd);
	free(order);
}

/* --- everything about a driver ----------------------------------------------- */

static const char *size_name(size_t size)
{
	static char text[16];

	if (size >= GIB(1))
		snprintf(text, sizeof(text), "%zuG", size >> 30);
	else if (size >= MIB(1))
		snprintf(text, sizeof(text), "%zuM", size >> 20);
	else
		snprintf(text, sizeof(text), "%zuK", size >> 10);
	return text;
}

/* @policy: how memory is cleared, behind the names of the rows */
static void lifecycle_rows(const char *policy)
{
	static const size_t sizes[] = { MIB(2), MIB(64) };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char name[64], row[64];
		struct cost cost;

		cost = MACHINE_COST(MACHINE_TIMES, (void)0, ({
			create(name, sizeof(name), sizes[i]);
			delete(name);
		}));
		snprintf(row, sizeof(row), "life_%s%s", size_name(sizes[i]), policy);
		put_cost(row, cost);
		cost = MACHINE_COST(MACHINE_TIMES, ({ if (_m) delete(name); }),
				    create(name, sizeof(name), sizes[i]));
		snprintf(row, sizeof(row), "create_%s%s", size_name(sizes[i]), policy);
		put_cost(row, cost);
		delete(name);
	}
}

/* Bytes that are free; a processor's own list of free pages counts, what is cached does not. */
static double free_bytes(void)
{
	char line[256];
	double pages = 0;
	long n;
	FILE *f;

	must_write("/proc/sys/vm/drop_caches", "3");
	machine_count();
	f = fopen("/proc/zoneinfo", "r");
	if (!f)
		fail("/proc/zoneinfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " nr_free_pages %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			pages += n;
	fclose(f);
	return pages * PAGE;
}

static void memory_rows(void)
{
	enum { INSTANCES = 64 };
	static char names[INSTANCES][64];
	double before;

	/* Slabs that are made for the first of a kind stay. */
	create(names[0], sizeof(names[0]), MIB(2));
	delete(names[0]);
	before = free_bytes();
	for (int i = 0; i < INSTANCES; i++)
		create(names[i], sizeof(names[i]), MIB(2));
	put("instance_bytes", (before - free_bytes()) / INSTANCES);
	for (int i = 0; i < INSTANCES; i++)
		delete(names[i]);
}

static struct image images[2];

static void load_images(const char *const *paths)
{
	for (int i = 0; i < 2; i++) {
		free(images[i].bytes);
		images[i] = read_image(paths[i]);
	}
}

static bool told;			/* that driver wants to be told of the first device */

static void load(void)
{
	insert(&images[0], "");
	if (told)
		must_write(NEW_ID, "dax0.0");
	insert(&images[1], "");
}

static void unload(void)
{
	removed(&images[1]);
	removed(&images[0]);
}

/* Finds out whether that driver has to be told. */
static void first_load(void)
{
	load();
	settle();
	told = driver->binds && access(DEVICE_DAX "/dax0.0", F_OK);
	if (told) {
		unload();
		load();
	}
}

static void load_rows(void)
{
	double before;

	/* Once unmeasured: then everything that they need of the kernel is there. */
	first_load();
	unload();
	before = free_bytes();
	put_cost("load", MACHINE_COST(5, ({ if (_m) unload(); }), load()));
	put("load.bytes", before - free_bytes());
}

static void unload_row(void)
{
	put_cost("unload", MACHINE_COST(3, ({ if (_m) load(); }), unload()));
}

static void resize(int fd, size_t size)
{
	struct unidax_resize request = { .size = sizeof(request), .bytes = size };

	if (ioctl(fd, UNIDAX_RESIZE, &request))
		fail("resizing %s to %zu bytes", node, size);
}

/* All of the device is mapped, by entries of 2 MiB, when its second half is given back. */
static void shrink_row(void)
{
	size_t half = MIB(512);
	int fd = device_open();
	char *p = map(fd, 2 * half, 0);

	put_cost("shrink_512M", MACHINE_COST(MACHINE_TIMES, ({
			if (_m)
				resize(fd, 2 * half);
			touch_all(p, 2 * half, MIB(2));
		}), resize(fd, half)));
	munmap(p, 2 * half);
	close(fd);
}

/* By the instruction that the kernel's own memset() is, on a processor that is good at it. */
static void clear(char *p, size_t size)
{
	asm volatile("rep stosb" : "+D"(p), "+c"(size) : "a"(0) : "memory");
}

/*
 * The first touch of memory that was somebody else's: one driver clears it then. With the other it
 * is the program's affair.
 */
static double touch_stale(int fd, size_t pages)
{
	uint64_t begin;
	double cost;
	char *p;

	if (!driver->binds) {
		resize(fd, 0);
		resize(fd, pages * MIB(2));
	}
	p = map(fd, pages * MIB(2), 0);
	begin = count();
	for (size_t i = 0; i < pages; i++) {
		touch_write(p + i * MIB(2));
		if (driver->binds)
			clear(p + i * MIB(2), MIB(2));
	}
	cost = (double)(count() - begin) / pages;
	munmap(p, pages * MIB(2));
	return cost;
}

static void stale_row(void)
{
	int fd = device_open();

	put("stale_2M", OVER_LAYOUTS(LAYOUTS_OF_LONG, 1, touch_stale(fd, 32)));
	if (!driver->binds)
		resize(fd, GIB(1));
	close(fd);
}

/* Transfers of a page, by system calls and by io_uring. */
static void data_rows_of(const char *name, int fd)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	struct ring ring;
	char row[64];
	int ret;

	ret = ring_open(&ring);
	if (ret)
		fail("io_uring: %s", strerror(-ret));
#define ROW(_what, _by, _transfer) do {						\
	snprintf(row, sizeof(row), "%s_%s.%s", name, _what, _by);		\
	put(row, MEASURE(100, ({						\
		if ((_transfer) != (int)PAGE)					\
			fail("%s", row);					\
	})));									\
} while (0)
	ROW("read", "psync", pread(fd, page, PAGE, 0));
	ROW("read", "io_uring", ring_do(&ring, IORING_OP_READ, fd, page, PAGE, 0));
	ROW("write", "psync", pwrite(fd, page, PAGE, 0));
	ROW("write", "io_uring", ring_do(&ring, IORING_OP_WRITE, fd, page, PAGE, 0));
#undef ROW
	close(ring.fd);
}

static void data_rows(void)
{
	int fd = device_open(), zero = open("/dev/zero", O_RDWR | O_CLOEXEC);

	if (zero < 0)
		fail("/dev/zero");
	data_rows_of("data", fd);
	data_rows_of("zero", zero);
	close(zero);
	close(fd);
}

static void unmap_row(void)
{
	int fd = device_open();
	char *p;

	put_cost("munmap_512M", MACHINE_COST(MACHINE_TIMES, ({
			p = map(fd, MIB(512), 0);
			touch_all(p, MIB(512), MIB(2));
		}), munmap(p, MIB(512))));
	close(fd);
}

static void calibrate(void)
{
	enum { TIMES = 9 };
	double empty[TIMES];

	machine_count();
	for (int i = 0; i < TIMES; i++) {
		uint64_t before = machine_count();

		empty[i] = machine_count() - before;
	}
	machine_empty = median(empty, TIMES);
}

/* --- growth ------------------------------------------------------------------ */

static void put_at(const char *name, unsigned long n, double value)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %lu", name, n);
	put(text, value);
}

/* Instructions of the whole machine for _body, once. */
#define MACHINE_ONCE(_body) MACHINE_COST(1, (void)0, _body).machine

static void load_range(unsigned long gib, unsigned long long start)
{
	char range[64];

	snprintf(range, sizeof(range), "range=%luG@%#llx,align=2M,keep", gib, start);
	insert(&images[0], "nr_dax=1200");
	insert(&images[1], range);
	find_region();
	find_device();
}

/* One more mapping of 2 MiB, touched and taken away; by this process, which has no other. */
static double mapping_cost(int fd)
{
	double least = 0;

	for (int i = 0; i < 9; i++) {
		uint64_t begin = count(), cost;
		char *p = map(fd, MIB(2), 0);

		touch_write(p);
		munmap(p, MIB(2));
		cost = count() - begin;
		least = i ? smaller(least, cost) : cost;
	}
	return least;
}

/* Of so many GiB; nothing needs to be behind the addresses, since nothing touches it. */
static void region_scale(unsigned long long start)
{
	for (unsigned long gib = 1; gib <= 64; gib *= 4) {
		double before;

		load_range(gib, start);
		unload();
		before = free_bytes();
		put_at("region_load", gib, MACHINE_ONCE(load_range(gib, start)));
		put_at("region_bytes", gib, before - free_bytes());
		put_at("region_shrink", gib, MACHINE_ONCE(device_attr(first, "size", 0)));
		put_at("region_grow", gib, MACHINE_ONCE(device_attr(first, "size", GIB(gib))));
		put_at("region_unload", gib, MACHINE_ONCE(unload()));
	}
}

/* 64 pages of 2 MiB as so many extents, with gaps as large between them. */
static void extent_scale(unsigned long long start)
{
	enum { PAGES = 64 };

	load_range(1, start);
	for (unsigned long n = 1; n <= 64; n *= 4) {
		size_t each = PAGES / n * MIB(2);
		char path[PATH_MAX];
		double touch;
		int fd;

		device_attr(first, "size", 0);
		snprintf(path, sizeof(path), "%s/%s/mapping", driver->devices, first);
		for (unsigned long i = 0; i < n; i++) {
			unsigned long long at = start + 2 * i * each;
			unsigned long long last = at + each - 1;
			double cost = MACHINE_ONCE(must_write(path, "%#llx-%#llx", at, last));

			if (i == n - 1)
				put_at("extents_grow", n, cost);
		}
		fd = device_open();
		touch = touch_pages(fd, PAGES * MIB(2), MIB(2), NULL).touch;
		for (int i = 0; i < 8; i++)
			touch = smaller(touch, touch_pages(fd, PAGES * MIB(2), MIB(2), NULL).touch);
		put_at("extents_fault", n, touch);
		close(fd);
		put_at("extents_shrink", n, MACHINE_ONCE(device_attr(first, "size", 0)));
	}
	unload();
}

/* Processes that have so much of the device mapped and touched. */
static void start_mappers(pid_t *pids, unsigned long n, size_t length)
{
	int ready[2];
	char c;

	if (pipe(ready))
		fail("pipe");
	for (unsigned long i = 0; i < n; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			fail("fork");
		if (!pids[i]) {
			touch_all(map(device_open(), length, 0), length, MIB(2));
			if (write(ready[1], "r", 1) == 1)
				pause();
			_exit(1);
		}
	}
	for (unsigned long i = 0; i < n; i++)
		if (read(ready[0], &c, 1) != 1)
			fail("a process did not come up");
	close(ready[0]);
	close(ready[1]);
}

static void stop_mappers(const pid_t *pids, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

/* With so many processes that have 64 MiB of it mapped. */
static void mapper_scale(unsigned long long start)
{
	for (unsigned long n = 1; n <= 64; n *= 4) {
		pid_t pids[64];
		int fd;

		load_range(1, start);
		device_attr(first, "size", MIB(64));
		start_mappers(pids, n, MIB(64));
		fd = device_open();
		put_at("mappers_fault", n, mapping_cost(fd));
		put_at("mappers_grow", n, MACHINE_ONCE(resize(fd, MIB(128))));
		put_at("mappers_shrink", n, MACHINE_ONCE(resize(fd, 0)));
		stop_mappers(pids, n);
		resize(fd, MIB(64));
		close(fd);
		start_mappers(pids, n, MIB(64));
		/* The provider goes while they are there; what holds the memory goes after them. */
		put_at("mappers_unload", n, MACHINE_ONCE(removed(&images[1])));
		stop_mappers(pids, n);
		removed(&images[0]);
	}
}

/* One more instance where so many are. */
static void instance_scale(unsigned long long start)
{
	for (unsigned long n = 1; n <= 1000; n *= 10) {
		char path[PATH_MAX + 32], name[64];
		int fd;

		load_range(1, start);
		device_attr(first, "size", MIB(2));
		for (unsigned long i = 1; i < n; i++)
			region_attr("create", "1");
		put_at("instances_create", n, MACHINE_ONCE(region_attr("create", "1")));
		snprintf(path, sizeof(path), "%s/create", region);
		read_text(path, name, sizeof(name));
		put_at("instances_grow", n, MACHINE_ONCE(device_attr(name, "size", MIB(4))));
		snprintf(node, sizeof(node), "/dev/%s", name);
		fd = device_open();
		put_at("instances_fault", n, mapping_cost(fd));
		close(fd);
		put_at("instances_shrink", n, MACHINE_ONCE(device_attr(name, "size", 0)));
		put_at("instances_delete", n, MACHINE_ONCE(region_attr("delete", name)));
		put_at("instances_unload", n, MACHINE_ONCE(unload()));
	}
}

/* @start: 1 GiB of memory; @nowhere: 64 GiB of addresses */
static void scale_rows(const char *const *paths, unsigned long long start,
		       unsigned long long nowhere)
{
	load_images(paths);
	region_scale(nowhere);
	extent_scale(start);
	mapper_scale(start);
	instance_scale(start);
}

/* --- traces ------------------------------------------------------------------ */

/* What scripts/bench/trace.c looks for. 0 ends what another number began. */
#define MARK(_number) asm volatile(".byte 0x0f, 0x1f, 0x80, %c0, 0x5a, 0x5a, 0x5a" \
				   :: "i"(_number) : "memory")

static void print_symbols(void)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[512], type;

	if (!f)
		fail("/proc/kallsyms");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*x %c", &type) == 1 && strchr("tTwW", type))
			fputs(line, stdout);
	fclose(f);
	if (fflush(stdout))
		fail("write");
}

/* Each thing as often as it takes for nothing to be new, then once more with a mark. */
#define MARKED(_number, _before, _body) do {					\
	for (int _i = 0; _i < 3; _i++) {					\
		_before;							\
		settle();							\
		if (_i == 2)							\
			MARK(_number);						\
		_body;								\
		MARK(0);							\
	}									\
} while (0)

/* A second device that is there, or not. */
static void with(char *name, size_t size_of_name)
{
	if (!name[0])
		create(name, size_of_name, MIB(2));
}

static void without(char *name)
{
	if (name[0])
		delete(name);
	name[0] = '\0';
}

static void trace_rows(const char *const *paths)
{
	char name[64] = "";
	char *p;
	int fd;

	load_images(paths);
	first_load();
	unload();
	settle();
	MARK(1);
	load();
	settle();
	MARK(0);
	find_region();
	find_device();
	/* Modules lie elsewhere after the next load. */
	print_symbols();
	shape(MIB(2), GIB(1));
	MARKED(2, (void)0, close(device_open()));
	fd = device_open();
	p = map(fd, MIB(2), 0);
	MARKED(3, ({
		munmap(p, MIB(2));
		p = map(fd, MIB(2), 0);
	}), touch_write(p));
	munmap(p, MIB(2));
	if (driver->binds) {
		MARKED(4, ({
			p = map(fd, MIB(512), 0);
			touch_all(p, MIB(512), MIB(2));
		}), munmap(p, MIB(512)));
		close(fd);
		/* Else there is no room for another. */
		shape(MIB(2), MIB(512));
	} else {
		p = map(fd, GIB(1), 0);
		MARKED(4, ({
			resize(fd, GIB(1));
			touch_all(p, GIB(1), MIB(2));
		}), resize(fd, MIB(512)));
		munmap(p, GIB(1));
		close(fd);
	}
	/* From here on with the work that is put off. */
	MARKED(5, without(name), ({
		create(name, sizeof(name), MIB(2));
		settle();
	}));
	MARKED(6, with(name, sizeof(name)), ({
		without(name);
		settle();
	}));
	shape(MIB(2), GIB(1));
	settle();
	MARK(7);
	unload();
	settle();
	MARK(0);
}

/* --- a device that is there, on any machine ---------------------------------- */

static void device_rows(const char *name, size_t align)
{
	snprintf(node, sizeof(node), "%s", name);
	perf_fd = perf_open();
	in_ns = true;
	prefix = "ns.";
	mapping_rows(align, MIB(64), 0);
	if (perf_fd < 0) {
		fprintf(stderr, "bench: no instruction counter (%s): nanoseconds only\n",
			strerror(errno));
		return;
	}
	in_ns = false;
	counts_by_perf = true;
	prefix = "instructions.";
	mapping_rows(align, MIB(64), 0);
}

/* --- main ---------------------------------------------------------------------- */

static const size_t aligns[] = { KIB(4), MIB(2), GIB(1) };

/*
 * Mappings are measured by a process that has executed anew and has nothing but them: what it
 * costs to fork and to end depends on what a process has.
 */
static void mapping_rows_apart(size_t align)
{
	char text[32];
	int status;
	pid_t pid;

	flush_output();
	snprintf(text, sizeof(text), "%zu", align);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "bench", "mapping", node, text, NULL);
		_exit(1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("measuring mappings of %s bytes", text);
}

static void driver_rows(const char *const *paths)
{
	load_images(paths);
	load_rows();
	find_region();
	find_device();
	for (size_t i = 0; i < sizeof(aligns) / sizeof(*aligns); i++) {
		shape(aligns[i], GIB(1));
		mapping_rows_apart(aligns[i]);
	}
	shape(MIB(2), GIB(1));
	stale_row();
	unmap_row();
	if (driver->binds) {
		shape(MIB(2), MIB(512));
		lifecycle_rows("");
	} else {
		data_rows();
		shrink_row();
		lifecycle_rows("");
		region_attr("clear", "eager");
		lifecycle_rows("_eager");
		region_attr("clear", "lazy");
	}
	memory_rows();
	unload_row();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setpriority(PRIO_PROCESS, 0, -10);
	mlockall(MCL_CURRENT);
	if (!strcmp(what, "device") && argc == 4) {
		device_rows(argv[2], strtoull(argv[3], NULL, 0));
	} else if (!strcmp(what, "mapping") && argc == 4) {
		char text[16];
		size_t align = strtoull(argv[3], NULL, 0);

		snprintf(node, sizeof(node), "%s", argv[2]);
		snprintf(text, sizeof(text), "%s.", size_name(align));
		prefix = text;
		mapping_rows(align, MIB(64), MIB(512));
	} else if (!strcmp(what, "scale") && argc == 6) {
		driver = &unidax;
		calibrate();
		scale_rows((const char *[]){ argv[2], argv[3] }, strtoull(argv[4], NULL, 0),
			   strtoull(argv[5], NULL, 0));
	} else if (!strcmp(what, "trace") && argc == 5) {
		driver = strcmp(argv[2], stock.name) ? &unidax : &stock;
		trace_rows((const char *[]){ argv[3], argv[4] });
	} else if ((!strcmp(what, "stock") || !strcmp(what, "unidax")) && argc == 4) {
		driver = strcmp(what, stock.name) ? &unidax : &stock;
		calibrate();
		driver_rows((const char *[]){ argv[2], argv[3] });
	} else {
		fprintf(stderr, "usage: bench stock|unidax MODULE MODULE\n"
				"       bench scale CORE RESERVED START NOWHERE\n"
				"       bench trace stock|unidax MODULE MODULE\n"
				"       bench device NODE ALIGN\n");
		return 2;
	}
	flush_output();
	return 0;
}

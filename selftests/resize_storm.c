// SPDX-License-Identifier: GPL-2.0
/*
 * The storm that resize_storm.h describes. The first process that finds anything wrong says
 * what, and stops the others.
 */
#define _GNU_SOURCE
#include <sys/uio.h>
#include "kselftest.h"
/* The harness can be in one file of a program only. */
#define TH_LOG_STREAM stderr
#include "unidax_test.h"
#include "module_test.h"
#include "resize.h"
#include "resize_storm.h"

#define STORM_REGIONS 4
#define STORM_SLOTS 5			/* instances of a region: at most so many are made */
#define STORM_SPAN 24			/* units that a mapping has at most */
#define STORM_UNITS (2 * STORM_SPAN)	/* units that one is ever looked at */

#define STORM_PROCESSES 64		/* with their children */

enum storm_count {
	STORM_TOUCHES, STORM_SIGNALS, STORM_STAMPS, STORM_MAPS, STORM_FORKS, STORM_MREMAPS,
	STORM_PINS, STORM_GROWS, STORM_SHRINKS, STORM_BUSY, STORM_CREATES, STORM_DELETES,
	STORM_ALIGNS, STORM_UNLOADS, STORM_APPENDS, STORM_DIRECTS, STORM_ADVICES, STORM_READS,
	STORM_COUNTS
};

static const char *const storm_names[STORM_COUNTS] = {
	"touches", "signals", "stamps", "maps", "forks", "mremaps", "pins", "grows", "shrinks",
	"busy", "creates", "deletes", "aligns", "unloads",
	"appends", "direct transfers", "advices", "attributes read"
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
	uint64_t serial;
	/* For each process that may stamp: a number that the next stamp is not below, or IDLE. */
	uint64_t drawing[STORM_PROCESSES];
	/* Older stamps than this have no business in a unit. */
	uint64_t valid_from[STORM_REGIONS][STORM_SLOTS][STORM_UNITS];
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

#define STORM_FREE 0
#define STORM_IDLE UINT64_MAX

static uint64_t *storm_drawing;

static void storm_enter(void)
{
	uint64_t *slot, none;

	for (slot = storm->drawing; slot < storm->drawing + STORM_PROCESSES; slot++) {
		none = STORM_FREE;
		if (__atomic_compare_exchange_n(slot, &none, STORM_IDLE, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST)) {
			storm_drawing = slot;
			return;
		}
	}
	storm_fail("too many processes");
}

__attribute__((noreturn))
static void storm_leave(void)
{
	__atomic_store_n(storm_drawing, STORM_FREE, __ATOMIC_SEQ_CST);
	_exit(0);
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
	storm_enter();
}

static unsigned long below(unsigned long limit)
{
	return random_below(&storm_random, limit);
}

/* Whose a page is: all of a stamp but its serial number, the low 28 bits. */
#define STORM_SERIALS ((1ULL << 28) - 1)

static uint64_t owner_of(int id, int instance, unsigned long page)
{
	return 0x5ULL << 60 | (uint64_t)id << 52 | (uint64_t)instance << 44 | (uint64_t)page << 28;
}

/*
 * A stamp is drawn, and after a while in memory. Whoever takes memory away in between
 * has drawn a later number, and must not think the stamp a leftover: so it is told.
 */
static uint64_t storm_draw(void)
{
	__atomic_store_n(storm_drawing, __atomic_load_n(&storm->serial, __ATOMIC_SEQ_CST),
			 __ATOMIC_SEQ_CST);
	return __atomic_add_fetch(&storm->serial, 1, __ATOMIC_SEQ_CST);
}

static void storm_drawn(void)
{
	__atomic_store_n(storm_drawing, STORM_IDLE, __ATOMIC_SEQ_CST);
}

/* A number that no stamp is below which is still on its way. */
static uint64_t storm_serial(void)
{
	uint64_t bound = __atomic_add_fetch(&storm->serial, 1, __ATOMIC_SEQ_CST);
	int i;

	for (i = 0; i < STORM_PROCESSES; i++) {
		uint64_t drawing = __atomic_load_n(&storm->drawing[i], __ATOMIC_SEQ_CST);

		if (drawing != STORM_FREE && drawing < bound)
			bound = drawing;
	}
	return bound;
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

static uint64_t *storm_valid_from(const struct storm_instance *it, unsigned long page)
{
	return &storm->valid_from[it->region][it->instance][page * PAGE / storm->unit[it->region]];
}

/*
 * At some time after the given serial number an instance ended at that size, so what
 * is behind it now has come since.
 */
static void storm_ended_at(const struct storm_instance *it, unsigned long size, uint64_t serial)
{
	unsigned long i;

	for (i = size / storm->unit[it->region]; i < STORM_UNITS; i++) {
		uint64_t *from = &storm->valid_from[it->region][it->instance][i];
		uint64_t seen = __atomic_load_n(from, __ATOMIC_SEQ_CST);

		while (seen < serial &&
		       !__atomic_compare_exchange_n(from, &seen, serial, false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST))
			;
	}
}

static void storm_stamp(const struct storm_instance *it, volatile uint64_t *at, unsigned long page)
{
	*at = owner_of(it->id, it->instance, page) | storm_draw();
	storm_drawn();
	storm_count(STORM_STAMPS);
}

static void storm_check_owner(const struct storm_instance *it, const char *what, uint64_t seen,
			      unsigned long page)
{
	uint64_t want = owner_of(it->id, it->instance, page);

	if (seen && (seen & ~STORM_SERIALS) != want)
		storm_fail("%s, page %#lx: %s has stamp %#llx, not %#llx", it->name, page, what,
			   (unsigned long long)seen, (unsigned long long)want);
}

/* Look at the stamps of a page, and put them there when there are none. */
static void storm_look(const struct storm_instance *it, char *p, unsigned long page)
{
	volatile int i;

	storm_count(STORM_TOUCHES);
	if (sigsetjmp(storm_env, 0)) {
		storm_drawn();
		storm_count(STORM_SIGNALS);
		return;
	}
	for (i = 0; i < 2; i++) {
		volatile uint64_t *at = (uint64_t *)(i ? p + PAGE : p) - i;
		uint64_t from = __atomic_load_n(storm_valid_from(it, page), __ATOMIC_SEQ_CST);
		uint64_t seen = *at;

		storm_check_owner(it, "memory", seen, page);
		if (!seen)
			storm_stamp(it, at, page);
		else if ((seen & STORM_SERIALS) < from)
			storm_fail("%s, page %#lx: stamp %llu is older than the memory, %llu",
				   it->name, page, (unsigned long long)(seen & STORM_SERIALS),
				   (unsigned long long)from);
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

/*
 * A page of the mapping into a pipe, and what the pipe has at once and after more
 * changes: as long as it holds the page nobody else gets it, so a stamp that is there
 * stays.
 */
static void storm_pin(const struct storm_instance *it, char *p, unsigned long page)
{
	uint64_t at_once[PAGE / 8], later[PAGE / 8];
	struct iovec iov = { .iov_base = p, .iov_len = PAGE };
	int held[2], copied[2];

	storm_look(it, p, page);
	if (pipe2(held, O_CLOEXEC))
		return;
	if (pipe2(copied, O_CLOEXEC)) {
		close(held[0]);
		close(held[1]);
		return;
	}
	if (vmsplice(held[1], &iov, 1, 0) == PAGE) {
		if (tee(held[0], copied[1], PAGE, 0) != PAGE ||
		    read(copied[0], at_once, PAGE) != PAGE)
			storm_fail("%s: a pipe has lost a page at once", it->name);
		nap_ms(below(60));
		if (read(held[0], later, PAGE) != PAGE)
			storm_fail("%s: a pipe has lost a page", it->name);
		storm_check_owner(it, "a pipe", at_once[0], page);
		storm_check_owner(it, "a pipe", later[0], page);
		storm_check_owner(it, "a pipe", later[PAGE / 8 - 1], page);
		if (at_once[0] && !later[0])
			storm_fail("%s, page %#lx: a pipe's page was taken from it", it->name,
				   page);
		storm_count(STORM_PINS);
	}
	close(held[0]);
	close(held[1]);
	close(copied[0]);
	close(copied[1]);
}

/* A page by direct I/O: a stamp from a file into the mapping, and the mapping to the file. */
static void storm_direct(const struct storm_instance *it, char *p, unsigned long page)
{
	static __attribute__((aligned(PAGE))) uint64_t buf[PAGE / 8];
	const char *dir = getenv("UNIDAX_DIO");
	char path[PATH_MAX];
	int fd;

	if (!dir || !*dir)
		return;
	snprintf(path, sizeof(path), "%s/storm.%d", dir, getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
	unlink(path);
	if (fd < 0)
		return;
	memset(buf, 0, PAGE);
	buf[0] = buf[PAGE / 8 - 1] = owner_of(it->id, it->instance, page) | storm_draw();
	if (pwrite(fd, buf, PAGE, 0) == PAGE && pread(fd, p, PAGE, 0) == PAGE)
		storm_count(STORM_DIRECTS);
	storm_drawn();
	if (pwrite(fd, p, PAGE, 0) == PAGE && pread(fd, buf, PAGE, 0) == PAGE) {
		storm_check_owner(it, "direct I/O", buf[0], page);
		storm_check_owner(it, "direct I/O", buf[PAGE / 8 - 1], page);
	}
	close(fd);
}

static void storm_advise(char *p, unsigned long length)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_WILLNEED, MADV_RANDOM, MADV_SEQUENTIAL, MADV_NORMAL,
		MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP, MADV_HUGEPAGE,
		MADV_MERGEABLE, MADV_UNMERGEABLE, 22 /* POPULATE_READ */, 23 /* POPULATE_WRITE */,
	};

	/* Whatever it answers. */
	madvise(p, length, advice[below(ARRAY_SIZE(advice))]);
	/* A child that has not got the mapping could not look at it. */
	madvise(p, length, MADV_DOFORK);
	if (!below(4) && !mlock(p, length))
		munlock(p, length);
	storm_count(STORM_ADVICES);
}

static void storm_read_only(const struct storm_instance *it, unsigned long length,
			    unsigned long first)
{
	char node[64], *p;
	struct stat st;
	int fd, i;

	snprintf(node, sizeof(node), "/dev/%s", it->name);
	fd = open(node, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	p = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, first * PAGE);
	if (p != MAP_FAILED && !fstat(fd, &st) && st.st_rdev == instance_devt(it->name)) {
		for (i = 0; i < 4; i++) {
			unsigned long page = below(length / PAGE);

			if (!sigsetjmp(storm_env, 0))
				storm_check_owner(it, "a read-only mapping",
						  *(volatile uint64_t *)(p + page * PAGE),
						  first + page);
		}
	}
	if (p != MAP_FAILED)
		munmap(p, length);
	close(fd);
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
			switch (below(10)) {
			case 0:
				pid = fork();
				if (!pid) {
					storm_begin(getpid());
					storm_look_around(&it, p, first, length / PAGE);
					storm_leave();
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
				if (moved && mremap(p, length, length,
						    MREMAP_MAYMOVE | MREMAP_FIXED,
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
				storm_advise(p, length);
				break;
			case 4:
				cut = below(length / PAGE);
				storm_pin(&it, p + cut * PAGE, first + cut);
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
			case 8:
				cut = below(length / PAGE);
				storm_direct(&it, p + cut * PAGE, first + cut);
				break;
			case 9:
				/* Read only, by a descriptor of its own, is the same memory. */
				storm_read_only(&it, length, first);
				break;
			}
		}
		munmap(p, length);
		if (it.fd >= 0)
			close(it.fd);
	}
}

/* Holds a page of somewhere in an instance most of the time. */
static void storm_pinner(void)
{
	while (!storm->stop) {
		struct storm_instance it;
		unsigned long length, page;
		int rounds;
		char *p;

		if (!storm_open(&it)) {
			nap_ms(1);
			continue;
		}
		length = STORM_SPAN * storm->unit[it.region];
		p = map_shared(it.fd, length, 0);
		close(it.fd);
		if (p == MAP_FAILED)
			continue;
		for (rounds = 0; rounds < 10 && !storm->stop; rounds++) {
			page = below(length / PAGE);
			storm_pin(&it, p + page * PAGE, page);
		}
		munmap(p, length);
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
		uint64_t serial = storm_serial();
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
		if (!ret)
			storm_ended_at(&it, resize.bytes, serial);
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
		uint64_t serial;
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
		serial = storm_serial();
		if (!below(3) && !dax_resize(it.name, 0))
			storm_ended_at(&it, 0, serial);
		ret = region_write(region, "delete", "%s", it.name);
		if (ret && !one_of(-ret, delete_errors))
			storm_fail("%s: delete: %s", it.name, strerror(-ret));
		if (!ret) {
			storm_ended_at(&it, 0, serial);
			storm_count(STORM_DELETES);
		}
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

/* Asks for ranges by address, mostly in vain. */
static void storm_appender(void)
{
	static const int expected[] = { ENOMEM, ENXIO, ENODEV, ENOENT, ENOSPC, 0 };

	while (!storm->stop) {
		struct storm_instance it;
		const struct region *region;
		unsigned long unit;
		unsigned long long start;
		int ret;

		storm_choose(&it);
		region = &storm->region[it.region];
		unit = storm->unit[it.region];
		if (dax_number(it.name, "size") > (long)(STORM_SPAN * unit)) {
			nap_ms(5);
			continue;
		}
		start = region->start + below(region->size / unit) * unit;
		ret = dax_write(it.name, "mapping", "%llx-%llx", start, start + unit - 1);
		if (ret && !one_of(-ret, expected))
			storm_fail("%s: mapping: %s", it.name, strerror(-ret));
		if (!ret)
			storm_count(STORM_APPENDS);
		nap_ms(below(20));
	}
}

/* Reads whatever there is below a folder of sysfs; what it says is for others to judge. */
static void storm_read_all(const char *dir, int depth)
{
	struct dirent *entry;
	DIR *d = opendir(dir);

	while (d && !storm->stop && (entry = readdir(d))) {
		char path[PATH_MAX], text[4096];

		if (entry->d_name[0] == '.' || entry->d_type == DT_LNK)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_type == DT_DIR && depth) {
			storm_read_all(path, depth - 1);
		} else if (entry->d_type == DT_REG) {
			sysfs_read(path, text, sizeof(text));
			storm_count(STORM_READS);
		}
	}
	if (d)
		closedir(d);
}

static void storm_reader(void)
{
	while (!storm->stop) {
		struct storm_instance it;
		char dir[PATH_MAX];

		storm_choose(&it);
		snprintf(dir, sizeof(dir), UNIDAX_CLASS "/%s", it.name);
		storm_read_all(dir, 2);
		storm_read_all(storm->region[it.region].dir, 0);
		nap_ms(below(5));
	}
}

/* The provider goes and comes. A pin may keep its range busy a while. */
static void storm_unloader(void)
{
	const char *provider = loaded_provider();
	struct storm_instance it;
	char parameters[1024];
	struct region region;
	uint64_t serial;
	double until;
	int i;

	if (!provider)
		return;
	loaded_parameters(provider, parameters, sizeof(parameters));
	while (!storm->stop) {
		int ret;

		nap_ms(700 + below(800));
		until = seconds();
		serial = storm_serial();
		ret = module_unload(provider);
		if (ret)
			storm_fail("unload of %s: %s", provider, strerror(-ret));
		if (seconds() - until > 20 * UNIDAX_PATIENCE)
			storm_fail("unload of %s took %.0f s", provider, seconds() - until);
		storm_count(STORM_UNLOADS);
		for (it.region = 0; it.region < storm->regions; it.region++)
			for (it.instance = 0; it.instance < STORM_SLOTS; it.instance++)
				storm_ended_at(&it, 0, serial);
		for (until = seconds() + 20 * UNIDAX_PATIENCE; ; nap_ms(20)) {
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

static pid_t storm_worker(void (*work)(void), unsigned long who)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	storm_begin(who);
	work();
	storm_leave();
}

const char *storm_run(const struct storm_plan *plan, unsigned long limit)
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
	for (i = 0; i < (int)plan->users; i++, count++)
		pids[count] = storm_worker(storm_user, count);
	for (i = 0; i < (int)plan->residents; i++, count++)
		pids[count] = storm_worker(storm_resident, count);
	for (i = 0; i < (int)plan->resizers; i++, count++)
		pids[count] = storm_worker(storm_resizer, count);
	pids[count++] = storm_worker(storm_maker, 100);
	pids[count++] = storm_worker(storm_aligner, 101);
	if (plan->pin)
		pids[count++] = storm_worker(storm_pinner, 105);
	if (plan->append)
		pids[count++] = storm_worker(storm_appender, 103);
	if (plan->read)
		pids[count++] = storm_worker(storm_reader, 104);
	if (plan->unload)
		pids[count++] = storm_worker(storm_unloader, 102);
	for (until = seconds() + length; seconds() < until && !storm->stop; )
		nap_ms(50);
	storm->stop = true;
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

		if ((!region_read(storm->region[i].dir, &region) || !region_adds_up(&region)) &&
		    !why[0])
			snprintf(why, sizeof(why), "region %d does not add up", i);
		if (!why[0] && region_restore(&region))
			snprintf(why, sizeof(why), "region %d cannot be emptied", i);
	}
	return why[0] ? why : NULL;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the selftests share that load and unload modules: the modules
 * themselves, the kernel log, and (snapshot.h) a picture of everything that a
 * module could leave behind. Include it after unidax_test.h and kselftest_harness.h.
 *
 * Environment:
 *   UNIDAX_MODULES	folder laid out like the unidax project, where unidax.ko
 *			and the providers are; without it, modinfo(8) is asked
 *   UNIDAX_RESERVED	SIZE@START of memory that nobody uses, for the reserved
 *			provider; without it, tests of that provider are skipped
 */
#ifndef MODULE_TEST_H
#define MODULE_TEST_H

#include <ctype.h>
#include <poll.h>
#include <regex.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "snapshot.h"

#ifndef UNIDAX_CORE
#define UNIDAX_CORE "unidax"
#endif
#ifndef UNIDAX_HMEM
#define UNIDAX_HMEM "unidax_hmem"
#endif
#define UNIDAX_RESERVED_MODULE "unidax_reserved"
#define UNIDAX_BUS "unidax_bus"

static inline unsigned long number_from_environment(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* --- modules ----------------------------------------------------------- */

static inline bool module_path(const char *name, char *path, size_t size)
{
	static const char *const below[] = { "", "/providers/bus", "/providers/hmem",
					     "/providers/reserved" };
	const char *root = getenv("UNIDAX_MODULES");
	char command[128];
	unsigned int i;
	ssize_t n;
	FILE *f;

	/* Beside the tests: what they bring themselves. */
	n = readlink("/proc/self/exe", path, size - 1);
	if (n > 0) {
		path[n] = '\0';
		snprintf(strrchr(path, '/'), size - (strrchr(path, '/') - path), "/%s.ko", name);
		if (!access(path, R_OK))
			return true;
	}
	for (i = 0; root && i < ARRAY_SIZE(below); i++) {
		snprintf(path, size, "%s%s/%s.ko", root, below[i], name);
		if (!access(path, R_OK))
			return true;
	}
	snprintf(command, sizeof(command), "PATH=$PATH:/sbin:/usr/sbin modinfo -n %s 2>&-", name);
	f = popen(command, "r");
	if (!f)
		return false;
	if (!fgets(path, size, f))
		path[0] = '\0';
	path[strcspn(path, "\n")] = '\0';
	pclose(f);
	return path[0] && !access(path, R_OK);
}

struct image {
	void *data;
	size_t size;
};

/*
 * A module in memory: loading it then reads no file. -errno, -ENOENT when the
 * module is not to be found.
 */
static inline int image_read(const char *name, struct image *image)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	memset(image, 0, sizeof(*image));
	if (!module_path(name, path, sizeof(path)))
		return -ENOENT;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fstat(fd, &st);
	image->data = malloc(st.st_size);
	for (image->size = 0; image->size < (size_t)st.st_size; ) {
		ssize_t n = read(fd, (char *)image->data + image->size,
				 st.st_size - image->size);

		if (n <= 0) {
			close(fd);
			return n ? -errno : -EIO;
		}
		image->size += n;
	}
	close(fd);
	return 0;
}

static inline int image_load(const struct image *image, const char *parameters)
{
	if (syscall(SYS_init_module, image->data, image->size, parameters))
		return -errno;
	return 0;
}

static inline int module_load(const char *name, const char *parameters)
{
	struct image image;
	int ret = image_read(name, &image);

	if (!ret)
		ret = image_load(&image, parameters);
	free(image.data);
	return ret;
}

/* -EWOULDBLOCK while it is in use, -ENOENT when it is not loaded. */
static inline int module_unload(const char *name)
{
	if (syscall(SYS_delete_module, name, O_NONBLOCK))
		return -errno;
	return 0;
}

static inline bool module_loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
	return !access(path, F_OK);
}

/* Whether it is a part of the kernel: it has its folder, and was never loaded. */
static inline bool module_built_in(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return !access(path, F_OK) && !module_loaded(name);
}

/*
 * Releases may come late: the last reference of a file goes in task work, that
 * of a region in a worker. So give it a while.
 */
static inline int module_unload_soon(const char *name, double limit)
{
	double until = seconds() + limit * UNIDAX_PATIENCE;
	int ret;

	do {
		ret = module_unload(name);
		if (ret != -EWOULDBLOCK)
			break;
		nap_ms(20);
	} while (seconds() < until);
	return ret;
}

/* --- the reserved range ------------------------------------------------ */

/* "128M" or "0x8000000": bytes, and where the number ended. */
static inline unsigned long long parse_size(const char *text, char **end)
{
	unsigned long long value = strtoull(text, end, 0);

	switch (toupper(**end)) {
	case 'T':
		value <<= 10;
		/* fall through */
	case 'G':
		value <<= 10;
		/* fall through */
	case 'M':
		value <<= 10;
		/* fall through */
	case 'K':
		value <<= 10;
		(*end)++;
	}
	return value;
}

static inline bool reserved_range(unsigned long long *start, unsigned long long *size)
{
	const char *text = getenv("UNIDAX_RESERVED");
	char *end;

	if (!text || !*text)
		return false;
	*size = parse_size(text, &end);
	if (*end != '@')
		return false;
	*start = parse_size(end + 1, &end);
	return !*end && *size;
}

/* --- the kernel log ---------------------------------------------------- */

struct klog {
	int fd;
	char *text;		/* "<level>message\n" of every record seen so far */
	size_t length;
};

/* From here on; false without access to the log. */
static inline bool klog_open(struct klog *log)
{
	memset(log, 0, sizeof(*log));
	log->text = strdup("");
	log->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return log->fd >= 0 && lseek(log->fd, 0, SEEK_END) >= 0;
}

static inline void klog_close(struct klog *log)
{
	if (log->fd >= 0)
		close(log->fd);
	free(log->text);
	log->text = NULL;
}

static inline void klog_forget(struct klog *log)
{
	lseek(log->fd, 0, SEEK_END);
	log->length = 0;
	log->text[0] = '\0';
}

/* Take in what is new. A record that was overwritten unread is a loss to report. */
static inline void klog_update(struct klog *log)
{
	char record[8192], *message;
	unsigned int level;
	ssize_t n;

	for (;;) {
		n = read(log->fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE) {
			n = snprintf(record, sizeof(record), "4,0,0,-;kernel log lost records\n");
		} else if (n <= 0) {
			return;
		}
		record[n] = '\0';
		message = strchr(record, ';');
		if (!message || sscanf(record, "%u,", &level) != 1)
			continue;
		message++;
		message[strcspn(message, "\n")] = '\0';
		/* Messages from user space (facility > 0) are no kernel's. */
		if (level >> 3)
			continue;
		log->text = realloc(log->text, log->length + strlen(message) + 8);
		log->length += sprintf(log->text + log->length, "<%u>%s\n", level & 7, message);
	}
}

/* What the kernel says when the machine is slow, or of any module from outside its tree. */
#define KLOG_NOISE \
	"hrtimer: interrupt took|clocksource: |perf: interrupt took|workqueue: .*hogged CPU|" \
	"out-of-tree module taints|module verification failed"

/*
 * Lines of warning level or worse, minus noise and those that match the extended
 * regular expression allow (NULL: none). They are printed.
 */
static inline int klog_complaints(struct klog *log, const char *allow)
{
	char *line, *next, expression[1024];
	int found = 0;
	regex_t re;

	klog_update(log);
	snprintf(expression, sizeof(expression), KLOG_NOISE "%s%s", allow ? "|" : "",
		 allow ? allow : "");
	if (regcomp(&re, expression, REG_EXTENDED | REG_NOSUB))
		return -1;
	for (line = log->text; *line; line = next) {
		char *end = strchr(line, '\n');
		bool allowed;

		next = end + 1;
		if (line[1] > '4')
			continue;
		*end = '\0';
		allowed = !regexec(&re, line + 3, 0, NULL, 0);
		if (!allowed) {
			fprintf(TH_LOG_STREAM, "# kernel log: %s\n", line);
			found++;
		}
		*end = '\n';
	}
	regfree(&re);
	return found;
}

/* Whether a line of at most this level matches the extended regular expression. */
static inline bool klog_has(struct klog *log, int level, const char *pattern)
{
	char *line, *next;
	bool found = false;
	regex_t re;

	klog_update(log);
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB | REG_ICASE))
		return false;
	for (line = log->text; *line && !found; line = next) {
		char *end = strchr(line, '\n');

		next = end + 1;
		*end = '\0';
		found = line[1] <= '0' + level && !regexec(&re, line + 3, 0, NULL, 0);
		*end = '\n';
	}
	regfree(&re);
	return found;
}

static inline void klog_print(struct klog *log)
{
	char *line, *save = NULL, *copy;

	klog_update(log);
	copy = strdup(log->text);
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		fprintf(TH_LOG_STREAM, "# kernel log: %s\n", line);
	free(copy);
}

/* --- providers --------------------------------------------------------- */

enum provider { PROVIDER_HMEM, PROVIDER_RESERVED };

#ifndef HMEM_DRIVER
#define HMEM_DRIVER "/sys/bus/platform/drivers/" UNIDAX_HMEM
#endif

static inline const char *provider_name(enum provider provider)
{
	return provider == PROVIDER_HMEM ? UNIDAX_HMEM : UNIDAX_RESERVED_MODULE;
}

/* NULL when this machine has memory for the provider and lets it come and go, else why not. */
static inline const char *provider_missing(enum provider provider)
{
	unsigned long long start, size;

	if (geteuid())
		return "needs root";
	if (module_built_in(UNIDAX_CORE))
		return UNIDAX_CORE " is built into the kernel";
	/* Some kernels make the one, others leave that to modules and make the other. */
	if (provider == PROVIDER_HMEM)
		return access("/sys/bus/platform/devices/hmem.0", F_OK) &&
		       access("/sys/bus/platform/devices/hmem_platform.0", F_OK) ?
			"no soft-reserved memory (hmem.0 or hmem_platform.0)" : NULL;
	return reserved_range(&start, &size) ? NULL : "UNIDAX_RESERVED is not set";
}

/* At most 128 MiB of it: preparing more costs time that says nothing. */
static inline const char *provider_parameters(enum provider provider)
{
	unsigned long long start, size;
	static char text[64];

	text[0] = '\0';
	if (provider == PROVIDER_RESERVED && reserved_range(&start, &size))
		snprintf(text, sizeof(text), "range=%#llx@%#llx",
			 size < MIB(128) ? size : MIB(128), start);
	return text;
}

static inline int provider_load(enum provider provider)
{
	return module_load(provider_name(provider), provider_parameters(provider));
}

/*
 * Have the provider try its memory once more: 0 or a negative errno. On hmem the
 * module stays and its driver is told to bind; the other is loaded again.
 */
static inline int provider_bind(enum provider provider)
{
	if (provider == PROVIDER_RESERVED)
		return provider_load(provider);
	return sysfs_write(HMEM_DRIVER "/bind", "hmem.0");
}

static inline int provider_unbind(enum provider provider)
{
	if (provider == PROVIDER_RESERVED)
		return module_unload(UNIDAX_RESERVED_MODULE);
	return sysfs_write(HMEM_DRIVER "/unbind", "hmem.0");
}

#define PROVIDER_VARIANTS(fixture)						\
	FIXTURE_VARIANT(fixture) { enum provider provider; };			\
	FIXTURE_VARIANT_ADD(fixture, hmem) { .provider = PROVIDER_HMEM };	\
	FIXTURE_VARIANT_ADD(fixture, reserved) { .provider = PROVIDER_RESERVED }

/*
 * UNIDAX_EXPECT_PROVIDERS ("hmem reserved"): memory that the machine was set up
 * to have, so that its absence is a failure.
 */
#define REQUIRE_PROVIDER(_provider) do {					\
	const char *_why = provider_missing(_provider);				\
	const char *_expected = getenv("UNIDAX_EXPECT_PROVIDERS");		\
	const char *_name = (_provider) == PROVIDER_HMEM ? "hmem" : "reserved"; \
	if (_why) {								\
		ASSERT_FALSE(_expected && strstr(_expected, _name)) {		\
			TH_LOG("%s", _why);					\
		}								\
		SKIP(return, "%s", _why);					\
	}									\
	ASSERT_FALSE(module_loaded(UNIDAX_CORE)) {				\
		TH_LOG(UNIDAX_CORE " is loaded already");			\
	}									\
} while (0)

/*
 * The same where FIXTURE_SETUP has loaded what it needs: self->before is its
 * last word.
 */
#define REQUIRE_UP() do {							\
	if (!self->before)							\
		REQUIRE_PROVIDER(variant->provider);				\
} while (0)

/* All modules out, whatever a test left; 0 when they are. */
static inline int unload_all(void)
{
	module_unload(UNIDAX_BUS);
	module_unload(UNIDAX_HMEM);
	module_unload(UNIDAX_RESERVED_MODULE);
	if (!module_loaded(UNIDAX_CORE))
		return 0;
	return module_unload_soon(UNIDAX_CORE, 10);
}

/* Write to an attribute of the region that a device is of. */
static inline int region_of_write(const char *device, const char *attribute, const char *text)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), UNIDAX_CLASS "/%s/device/dax_region/%s", device, attribute);
	return sysfs_write(path, text);
}

/* --- unidax_override --------------------------------------------------- */

#define VICTIM "unidax-victim"

/* Take the name that overrides look for. */
static inline void become_victim(void)
{
	prctl(PR_SET_NAME, VICTIM);
}

static inline long long override_hits(void)
{
	return sysfs_number("/sys/module/unidax_override/parameters", "hits");
}

/* --- unidax_inode ------------------------------------------------------ */

/*
 * 0 if the inode of this node leads to its own address_space; -EXDEV if to another one; -ENOENT
 * without the module that looks.
 */
static inline int own_mapping(const char *node)
{
	char parameters[PATH_MAX + 8];
	int ret;

	snprintf(parameters, sizeof(parameters), "node=%s", node);
	ret = module_load("unidax_inode", parameters);
	return ret ? ret : module_unload("unidax_inode");
}

#define REQUIRE_INODE_MODULE() do {						\
	struct image _image;							\
	if (image_read("unidax_inode", &_image))				\
		SKIP(return, "no unidax_inode.ko");				\
	free(_image.data);							\
} while (0)

#endif /* MODULE_TEST_H */

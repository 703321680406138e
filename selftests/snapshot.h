/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A picture of the machine, as text, of everything that an operation on unidax could
 * leave behind: names, modes and values in sysfs of its regions and devices, the
 * resource tree, memory blocks and zones, inodes, counts on modules. What fails, or is
 * undone, must leave the same picture. fail_nth and unwind show that it sees what is
 * left behind.
 *
 * Not in it: how often something has happened (statistics/), and what is nobody's
 * business but the kernel's (free memory, power/).
 *
 * It begins with what is released late and costs nothing to look at. Who waits for the
 * same picture looks at that first, over and over, and at all of it only then.
 *
 * Include it after unidax_test.h and kselftest_harness.h.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <glob.h>
#include <stdarg.h>

struct text {
	char *data;
	size_t length;
};

static inline void text_add(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text->data = realloc(text->data, text->length + n + 1);
	va_start(args, format);
	vsnprintf(text->data + text->length, n + 1, format, args);
	va_end(args);
	text->length += n;
}

static inline void text_add_file(struct text *text, const char *path)
{
	char line[512];
	FILE *f = fopen(path, "r");

	if (!f) {
		text_add(text, "%s: %s\n", path, strerror(errno));
		return;
	}
	while (fgets(line, sizeof(line), f))
		text_add(text, "%s: %s", path, line);
	fclose(f);
}

static inline void text_add_dir(struct text *text, const char *path, const char *prefix)
{
	struct dirent **list;
	int i, n = scandir(path, &list, NULL, alphasort);

	if (n < 0) {
		text_add(text, "%s: %s\n", path, strerror(errno));
		return;
	}
	for (i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.' &&
		    !strncmp(list[i]->d_name, prefix, strlen(prefix)))
			text_add(text, "%s/%s\n", path, list[i]->d_name);
		free(list[i]);
	}
	free(list);
}

/* What a file in sysfs says, or why not. Binary ones are not read. */
static inline void text_add_attribute(struct text *text, const char *path)
{
	char value[PAGE + 1];
	ssize_t n = sysfs_read(path, value, sizeof(value));

	if (n < 0)
		text_add(text, "%s: %s\n", path, strerror(-n));
	else
		text_add(text, "%s: %s\n", path, value);
}

/* All below a folder: names, modes, where links lead, and values. */
static inline void text_add_tree(struct text *text, const char *path)
{
	char below[PATH_MAX], target[PATH_MAX];
	struct dirent **list;
	int i, n = scandir(path, &list, NULL, alphasort);
	struct stat st;
	ssize_t length;

	for (i = 0; i < n; i++) {
		if (!strcmp(list[i]->d_name, ".") || !strcmp(list[i]->d_name, "..")) {
			free(list[i]);
			continue;
		}
		snprintf(below, sizeof(below), "%.*s/%s", PATH_MAX - 258, path, list[i]->d_name);
		/* One that has gone meanwhile is gone. */
		if (!lstat(below, &st)) {
			text_add(text, "%s %o\n", below, st.st_mode);
			if (S_ISDIR(st.st_mode)) {
				/* A dozen files of the driver core's, for each device. */
				if (strcmp(list[i]->d_name, "power"))
					text_add_tree(text, below);
			} else if (S_ISLNK(st.st_mode)) {
				length = readlink(below, target, sizeof(target) - 1);
				text_add(text, "%s -> %.*s\n", below, (int)length, target);
			} else if ((st.st_mode & 0444) && !strstr(below, "/statistics/")) {
				text_add_attribute(text, below);
			}
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

/* text_add_tree() or text_add_attribute() of all that a pattern matches. */
static inline void text_add_all(struct text *text, const char *pattern,
				void (*add)(struct text *, const char *))
{
	glob_t found;
	size_t i;

	if (glob(pattern, 0, NULL, &found))
		return;
	for (i = 0; i < found.gl_pathc; i++)
		add(text, found.gl_pathv[i]);
	globfree(&found);
}

/* Name, count and users of each module of ours. */
static inline void text_add_modules(struct text *text)
{
	char line[512], name[64], users[256];
	FILE *f = fopen("/proc/modules", "r");
	int count;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %*d %d %255s", name, &count, users) == 3 &&
		    !strncmp(name, "unidax", 6))
			text_add(text, "/proc/modules: %s %d %s\n", name, count, users);
	if (f)
		fclose(f);
}

/* How many pages each zone has. Device memory is said nowhere but in the resource tree. */
static inline void text_add_zones(struct text *text)
{
	char line[256], zone[64] = "", key[32];
	unsigned long pages;
	FILE *f = fopen("/proc/zoneinfo", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Node ", 5)) {
			snprintf(zone, sizeof(zone), "%.*s", (int)strcspn(line, "\n"), line);
		} else if (!strstr(zone, "Device") && sscanf(line, " %31s %lu", key, &pages) == 2 &&
			   (!strcmp(key, "present") || !strcmp(key, "managed"))) {
			text_add(text, "/proc/zoneinfo: %s %s %lu\n", zone, key, pages);
		}
	}
	if (f)
		fclose(f);
}

/* Inodes that exist: those that a processor has put by for itself are given back first. */
static inline void text_add_inodes(struct text *text)
{
	const char *const slab = "/sys/kernel/slab/unidax_inode";
	char path[64];

	snprintf(path, sizeof(path), "%s/shrink", slab);
	if (sysfs_write(path, "1"))
		return;
	snprintf(path, sizeof(path), "%s/objects", slab);
	text_add_attribute(text, path);
}

/* The beginning of the picture. */
static inline void text_add_early(struct text *text)
{
	text_add_inodes(text);
	text_add_modules(text);
	text_add_dir(text, "/sys/class/dax", "");
	text_add_dir(text, "/sys/kernel/debug/unidax", "");
}

/* The picture; free() it. */
static inline char *snapshot(void)
{
	struct text text = { 0 };

	text_add_early(&text);
	text_add_file(&text, "/proc/filesystems");
	text_add_file(&text, "/proc/devices");
	text_add_file(&text, "/proc/iomem");
	text_add_zones(&text);
	text_add_dir(&text, "/sys/class", "");
	text_add_dir(&text, "/sys/kernel/slab", "unidax");
	text_add_dir(&text, "/sys/module", "");
	text_add_dir(&text, "/sys/bus/platform/devices", "");
	text_add_dir(&text, "/sys/bus/platform/drivers", "");
	text_add_dir(&text, "/sys/devices/platform", "");
	text_add_all(&text, "/sys/devices/platform/hmem.*", text_add_tree);
	text_add_all(&text, "/sys/devices/platform/unidax_reserved.*", text_add_tree);
	text_add_all(&text, "/sys/devices/system/memory/memory*/state", text_add_attribute);
	text_add_all(&text, "/sys/devices/system/memory/memory*/valid_zones", text_add_attribute);
	text_add_dir(&text, "/sys/devices/virtual", "");
	text_add_dir(&text, "/sys/dev/char", "");
	text_add_dir(&text, "/dev", "");
	return text.data;
}

static inline void print_lines_not_in(const char *sign, const char *from, const char *other)
{
	char *line, *save = NULL, *copy = strdup(from);

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *at = strstr(other, line);
		size_t n = strlen(line);

		while (at && !((at == other || at[-1] == '\n') && (at[n] == '\n' || !at[n])))
			at = strstr(at + 1, line);
		if (!at)
			fprintf(TH_LOG_STREAM, "# %s %s\n", sign, line);
	}
	free(copy);
}

/* Whether the machine looks as it did; prints what differs. */
static inline bool unchanged_since(const char *before)
{
	char *now = snapshot();
	bool same = !strcmp(before, now);

	if (!same) {
		print_lines_not_in("gone:", before, now);
		print_lines_not_in("left behind:", now, before);
	}
	free(now);
	return same;
}

/* Whether a picture may be the same now, for all that its beginning says. */
static inline bool may_be_unchanged(const char *before)
{
	struct text text = { 0 };
	bool same;

	text_add_early(&text);
	same = !text.data || !strncmp(before, text.data, text.length);
	free(text.data);
	return same;
}

/*
 * Whether the machine looks as it did, at last: what is released in a worker or after a
 * grace period may be late. `take' makes the picture, of snapshot() or of a part of it that
 * has the same beginning.
 */
static inline bool same_soon(const char *before, char *(*take)(void))
{
	const double until = seconds() + 10 * UNIDAX_PATIENCE;
	char *now;
	bool same;

	for (;;) {
		while (!may_be_unchanged(before) && seconds() < until)
			nap_ms(5);
		now = take();
		same = !strcmp(before, now);
		if (same || seconds() >= until)
			break;
		free(now);
		nap_ms(20);
	}
	if (!same) {
		print_lines_not_in("gone:", before, now);
		print_lines_not_in("left behind:", now, before);
	}
	free(now);
	return same;
}

static inline bool unchanged_soon(const char *before)
{
	return same_soon(before, snapshot);
}

#endif /* SNAPSHOT_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * sysfs_abi: what a device and its region show in sysfs is what the files in
 * Documentation/ABI/testing say, no attribute more and none less (abi.awk takes names
 * and modes out of them when this is built); formats are those of mainline's
 * sysfs-bus-dax; and the values agree with /dev, /proc/iomem and each other.
 * daxctl(1), which reads all of it, agrees as well.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <regex.h>
#include "unidax_test.h"
#include "kselftest_harness.h"

FIXTURE(sysfs_abi) {
	struct dax_dev dev;
	char region[PATH_MAX + 32];
	int region_id, instance_id;
	long long target_node;	/* -1 when the attribute is absent */
};

DAX_VARIANTS(sysfs_abi);

FIXTURE_SETUP(sysfs_abi)
{
	char parent[PATH_MAX];

	if (!dax_find(variant->align, &self->dev))
		return;
	snprintf(self->region, sizeof(self->region), "%s/../../dax_region", self->dev.sysfs);
	if (realpath(self->region, parent))
		snprintf(self->region, sizeof(self->region), "%s", parent);
	ASSERT_EQ(2, sscanf(self->dev.name, "dax%d.%d", &self->region_id, &self->instance_id));
	self->target_node = sysfs_number(self->dev.sysfs, "target_node");
}

FIXTURE_TEARDOWN(sysfs_abi)
{
}

static bool matches(const char *text, const char *pattern)
{
	regex_t re;
	bool ok;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
		return false;
	ok = !regexec(&re, text, 0, NULL, 0);
	regfree(&re);
	return ok;
}

#define DECIMAL "^(0|[1-9][0-9]*)\n$"
#define SIGNED "^(-1|0|[1-9][0-9]*)\n$"
#define HEX "^0x[0-9a-f]+\n$"
#define DEVICE_NUMBER "^[0-9]+:[0-9]+\n$"

enum folder { DEVICE, STATISTICS, MAPPING, REGION };

/* Every attribute that the ABI files describe. */
static const struct attribute {
	enum folder folder;
	const char *name;
	unsigned int mode;
	bool optional;
} attributes[] = {
#define ABI(_folder, _name, _mode, _optional) { _folder, _name, _mode, _optional },
#include "abi.h"
#undef ABI
};

/* What is read, with its newline, where mainline has the attribute; anything else is a line. */
static const struct format {
	enum folder folder;
	const char *name, *pattern;
} formats[] = {
	{ DEVICE, "align", DECIMAL },
	{ DEVICE, "dev", DEVICE_NUMBER },
	{ DEVICE, "numa_node", SIGNED },
	{ DEVICE, "resource", HEX },
	{ DEVICE, "size", DECIMAL },
	{ DEVICE, "size_limit", DECIMAL },
	{ DEVICE, "allow_shrink", "^[01]\n$" },
	{ DEVICE, "target_node", DECIMAL },
	{ STATISTICS, "faults_4k", DECIMAL },
	{ STATISTICS, "faults_2m", DECIMAL },
	{ STATISTICS, "faults_1g", DECIMAL },
	{ STATISTICS, "fault_fallbacks", DECIMAL },
	{ STATISTICS, "fault_errors", DECIMAL },
	{ STATISTICS, "fault_poison", DECIMAL },
	{ STATISTICS, "resizes", DECIMAL },
	{ STATISTICS, "drain_ms", DECIMAL },
	{ MAPPING, "start", HEX },
	{ MAPPING, "end", HEX },
	{ MAPPING, "page_offset", HEX },
	{ REGION, "align", DECIMAL },
	{ REGION, "available_size", DECIMAL },
	{ REGION, "id", DECIMAL },
	{ REGION, "size", DECIMAL },
	{ REGION, "clear", "^(lazy|eager|keep)\n$" },
	{ REGION, "stale", "^[0-9]+\n$" },
	{ REGION, "badblocks", "^([0-9]+ [0-9]+\n)*$" },
	{ REGION, "create", "^(dax[0-9]+\\.[0-9]+)?\n$" },
	{ REGION, "seed", "^(dax[0-9]+\\.[0-9]+)?\n$" },
};

static const char *format_of(const struct attribute *attribute)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].folder == attribute->folder &&
		    !strcmp(formats[i].name, attribute->name))
			return formats[i].pattern;
	return "^[^\n]*\n$";
}

/* The whole of an attribute, newline included; -errno. */
static ssize_t read_raw(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

static const char *attribute_fault(const char *dir, const struct attribute *attribute)
{
	char path[PATH_MAX + 64], buf[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, attribute->name);
	if (lstat(path, &st))
		return attribute->optional ? NULL : "absent";
	if (!S_ISREG(st.st_mode))
		return "no attribute";
	if ((st.st_mode & 07777) != attribute->mode)
		return "mode";
	if (st.st_uid || st.st_gid)
		return "owner";
	if (!(attribute->mode & 0400))
		return NULL;
	if (read_raw(path, buf, sizeof(buf)) < 0)
		return "unreadable";
	return matches(buf, format_of(attribute)) ? NULL : "format";
}

/* An entry that the ABI files do not know; "" when there is none. */
static const char *unknown_name(const char *dir, enum folder folder, const char *also)
{
	static char name[256];
	struct dirent *entry;
	DIR *d = opendir(dir);
	size_t i;

	name[0] = '\0';
	if (!d)
		return "(no such folder)";
	while (!name[0] && (entry = readdir(d))) {
		for (i = 0; i < ARRAY_SIZE(attributes); i++)
			if (attributes[i].folder == folder &&
			    !strcmp(entry->d_name, attributes[i].name))
				break;
		if (i == ARRAY_SIZE(attributes) && entry->d_name[0] != '.' &&
		    !matches(entry->d_name, also))
			snprintf(name, sizeof(name), "%s", entry->d_name);
	}
	closedir(d);
	return name;
}

/* The ABI files and a folder have the same; also: what else the driver core puts there. */
#define EXPECT_ABI(_dir, _folder, _also) do {					\
	unsigned int _i, _known = 0;						\
	for (_i = 0; _i < ARRAY_SIZE(attributes); _i++) {			\
		const char *_fault;						\
		if (attributes[_i].folder != (_folder))				\
			continue;						\
		_known++;							\
		_fault = attribute_fault(_dir, &attributes[_i]);		\
		EXPECT_EQ(NULL, _fault) {					\
			TH_LOG("%s: %s", attributes[_i].name, _fault);		\
		}								\
	}									\
	EXPECT_LT(0, _known);							\
	EXPECT_STREQ("", unknown_name(_dir, _folder, _also));			\
} while (0)

TEST_F(sysfs_abi, device_attributes)
{
	char path[PATH_MAX + 64], text[256];

	REQUIRE_DAX(&self->dev, variant->align);
	EXPECT_ABI(self->dev.sysfs, DEVICE, "^(uevent|power|subsystem|device|statistics|mapping[0-9]+)$");
	snprintf(path, sizeof(path), "%s/uevent", self->dev.sysfs);
	ASSERT_LT(0, read_raw(path, text, sizeof(text)));
	EXPECT_TRUE(matches(text, "^MAJOR=[0-9]+\nMINOR=[0-9]+\nDEVNAME=dax[0-9]+\\.[0-9]+\n$"));
	/* Absent rather than -1. */
	EXPECT_LE(self->target_node == -1 ? -1 : 0, self->target_node);
}

TEST_F(sysfs_abi, statistics)
{
	char path[PATH_MAX + 64];

	REQUIRE_DAX(&self->dev, variant->align);
	snprintf(path, sizeof(path), "%s/statistics", self->dev.sysfs);
	EXPECT_ABI(path, STATISTICS, "^$");
}

TEST_F(sysfs_abi, mapping_attributes)
{
	char path[PATH_MAX + 64];

	REQUIRE_DAX(&self->dev, variant->align);
	snprintf(path, sizeof(path), "%s/mapping0", self->dev.sysfs);
	EXPECT_ABI(path, MAPPING, "^$");
}

TEST_F(sysfs_abi, region_attributes)
{
	REQUIRE_DAX(&self->dev, variant->align);
	EXPECT_ABI(self->region, REGION, "^$");
}

TEST_F(sysfs_abi, values)
{
	unsigned long size;

	REQUIRE_DAX(&self->dev, variant->align);
	size = self->dev.size;
	EXPECT_LT(0, size);
	EXPECT_EQ(0, size % self->dev.align);
	EXPECT_EQ(variant->align, self->dev.align);
	EXPECT_EQ(0, sysfs_number(self->dev.sysfs, "resource") % self->dev.align);
	EXPECT_EQ(self->region_id, sysfs_number(self->region, "id"));
	/* One instance, over all of it. */
	EXPECT_EQ(0, self->instance_id);
	EXPECT_EQ(size, sysfs_number(self->region, "size"));
	EXPECT_EQ(0, sysfs_number(self->region, "available_size"));
	EXPECT_EQ(variant->align, sysfs_number(self->region, "align"));
}

TEST_F(sysfs_abi, links_and_node)
{
	char path[PATH_MAX + 64], target[PATH_MAX], expected[PATH_MAX];
	struct stat st;
	char *tail;

	REQUIRE_DAX(&self->dev, variant->align);
	EXPECT_TRUE(matches(self->dev.name, "^dax[0-9]+\\.[0-9]+$"));

	/* /sys/devices/.../<parent>/dax/daxR.I */
	snprintf(expected, sizeof(expected), "/dax/%s", self->dev.name);
	tail = strstr(self->dev.sysfs, "/dax/");
	ASSERT_NE(NULL, tail);
	EXPECT_STREQ(expected, tail);

	snprintf(path, sizeof(path), "%s/subsystem", self->dev.sysfs);
	ASSERT_NE(NULL, realpath(path, target));
	EXPECT_STREQ("/sys/class/dax", target);
	snprintf(path, sizeof(path), "%s/device", self->dev.sysfs);
	ASSERT_NE(NULL, realpath(path, target));
	snprintf(path, sizeof(path), "%s/../..", self->dev.sysfs);
	ASSERT_NE(NULL, realpath(path, expected));
	EXPECT_STREQ(expected, target);

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u",
		 major(self->dev.devt), minor(self->dev.devt));
	ASSERT_NE(NULL, realpath(path, target));
	EXPECT_STREQ(self->dev.sysfs, target);
	ASSERT_EQ(0, stat(self->dev.node, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(self->dev.devt, st.st_rdev);
}

struct span {
	unsigned long long start, end;
	int depth;
	char name[128];
};

TEST_F(sysfs_abi, iomem)
{
	struct span span, above[16] = { 0 };
	unsigned long long start;
	char line[256], region[32];
	bool found = false;
	FILE *f;
	int i;

	REQUIRE_DAX(&self->dev, variant->align);
	start = sysfs_number(self->dev.sysfs, "resource");
	snprintf(region, sizeof(region), "dax_region%d", self->region_id);
	f = fopen("/proc/iomem", "r");
	ASSERT_NE(NULL, f);
	while (!found && fgets(line, sizeof(line), f)) {
		ASSERT_EQ(3, sscanf(line, " %llx-%llx : %127[^\n]", &span.start, &span.end,
				    span.name));
		span.depth = strspn(line, " ") / 2;
		ASSERT_GT(16, span.depth);
		above[span.depth] = span;
		found = !strcmp(span.name, self->dev.name);
	}
	fclose(f);
	ASSERT_TRUE(found);
	EXPECT_EQ(start, span.start);
	EXPECT_EQ(start + self->dev.size - 1, span.end);
	/* Directly below its region. */
	ASSERT_LT(0, span.depth);
	i = span.depth - 1;
	EXPECT_STREQ(region, above[i].name);
	EXPECT_LE(above[i].start, span.start);
	EXPECT_GE(above[i].end, span.end);
	EXPECT_EQ(sysfs_number(self->region, "size"), above[i].end - above[i].start + 1);
}

/* What cannot be written says so, and what can refuses nonsense. */
TEST_F(sysfs_abi, writes)
{
	static const char *const nonsense[] = { "abc", "-1", "1g" };
	char path[PATH_MAX + 64];
	unsigned long size;
	unsigned int i;
	struct stat st;

	REQUIRE_DAX(&self->dev, variant->align);
	size = self->dev.size;
	snprintf(path, sizeof(path), "%s/size", self->dev.sysfs);
	ASSERT_EQ(0, stat(path, &st));
	for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
		/* sysfs holds root to the mode, too. */
		EXPECT_EQ(st.st_mode & 0200 ? -EINVAL : -EACCES, sysfs_write(path, nonsense[i]));
	}
	EXPECT_EQ(size, sysfs_number(self->dev.sysfs, "size"));
	snprintf(path, sizeof(path), "%s/resource", self->dev.sysfs);
	EXPECT_EQ(-EACCES, sysfs_write(path, "0"));
	snprintf(path, sizeof(path), "%s/id", self->region);
	EXPECT_EQ(-EACCES, sysfs_write(path, "7"));
	snprintf(path, sizeof(path), "%s/available_size", self->region);
	EXPECT_EQ(-EACCES, sysfs_write(path, "0"));
}

/* --- daxctl ------------------------------------------------------------ */

static const char *json_value(const char *p);

static const char *json_space(const char *p)
{
	while (p && isspace((unsigned char)*p))
		p++;
	return p;
}

static const char *json_string(const char *p)
{
	if (!p || *p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if (!*p || (*p == '\\' && !*++p))
			return NULL;
	}
	return p + 1;
}

/* Past [ ... ] or { ... }, NULL where it is none. */
static const char *json_group(const char *p, char close)
{
	p = json_space(p + 1);
	if (*p == close)
		return p + 1;
	for (;;) {
		if (close == '}') {
			p = json_space(json_string(json_space(p)));
			if (!p || *p++ != ':')
				return NULL;
		}
		p = json_space(json_value(p));
		if (!p)
			return NULL;
		if (*p == close)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

static const char *json_value(const char *p)
{
	static const char *const words[] = { "true", "false", "null" };
	unsigned int i;
	char *end;

	p = json_space(p);
	if (!p)
		return NULL;
	if (*p == '[')
		return json_group(p, ']');
	if (*p == '{')
		return json_group(p, '}');
	if (*p == '"')
		return json_string(p);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strncmp(p, words[i], strlen(words[i])))
			return p + strlen(words[i]);
	strtod(p, &end);
	return end == p ? NULL : end;
}

/* Output of a command without white space outside strings; "" if it failed. */
static void run(const char *command, char *buf, size_t size)
{
	FILE *f = popen(command, "r");
	bool quoted = false;
	size_t n = 0;
	int c;

	while (f && (c = fgetc(f)) != EOF && n + 1 < size) {
		if (c == '"')
			quoted = !quoted;
		if (quoted || !isspace(c))
			buf[n++] = c;
	}
	buf[n] = '\0';
	if (!f || pclose(f))
		buf[0] = '\0';
}

TEST_F(sysfs_abi, daxctl)
{
	char buf[16384], expected[256], command[128], part[64] = "";
	const char *end, *device;
	long long available;

	REQUIRE_DAX(&self->dev, variant->align);
	if (system("command -v daxctl >/dev/null 2>&1"))
		SKIP(return, "no daxctl");
	snprintf(command, sizeof(command), "daxctl list -RDu -d %s", self->dev.name);
	run(command, buf, sizeof(buf));
	end = json_space(json_value(buf));
	ASSERT_NE(NULL, end) {
		TH_LOG("not JSON: %s", buf);
	}
	EXPECT_EQ('\0', *end);
	snprintf(expected, sizeof(expected), "\"chardev\":\"%s\"", self->dev.name);
	EXPECT_NE(NULL, strstr(buf, expected));

	run("daxctl list -RD", buf, sizeof(buf));
	end = json_space(json_value(buf));
	ASSERT_NE(NULL, end) {
		TH_LOG("not JSON: %s", buf);
	}
	EXPECT_EQ('\0', *end);
	/* The region as daxctl prints it, this device inside. It leaves out zero. */
	available = sysfs_number(self->region, "available_size");
	ASSERT_LE(0, available);
	if (available)
		snprintf(part, sizeof(part), "\"available_size\":%lld,", available);
	snprintf(expected, sizeof(expected), "\"id\":%d,\"size\":%lld,%s\"align\":%lld",
		 self->region_id, sysfs_number(self->region, "size"), part,
		 sysfs_number(self->region, "align"));
	device = strstr(buf, expected);
	ASSERT_NE(NULL, device) {
		TH_LOG("no %s in %s", expected, buf);
	}
	snprintf(expected, sizeof(expected), "{\"chardev\":\"%s\",\"size\":%lu,",
		 self->dev.name, self->dev.size);
	device = strstr(device, expected);
	ASSERT_NE(NULL, device) {
		TH_LOG("no %s in %s", expected, buf);
	}
	if (self->target_node >= 0) {
		snprintf(expected, sizeof(expected), "\"target_node\":%lld,", self->target_node);
		EXPECT_NE(NULL, strstr(device, expected));
	}
	snprintf(expected, sizeof(expected), "\"align\":%lu,\"mode\":\"devdax\"", self->dev.align);
	EXPECT_NE(NULL, strstr(device, expected)) {
		TH_LOG("no %s in %s", expected, device);
	}
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/*
 * uevents: what a listener on the kernel's netlink socket hears, as udev does, when
 * an instance is created, resized, deleted, and when its provider comes and goes:
 * one event for each, with the variables that udev makes nodes and rules from, in
 * that order; and nothing for what was refused.
 */
#define _GNU_SOURCE
#include <linux/netlink.h>
#include <sys/socket.h>
#include "unidax_test.h"
#include "kselftest_harness.h"
#include "module_test.h"
#include "resize.h"

FIXTURE(uevents) {
	struct region region;
	unsigned long unit;
	int fd;
};

REGION_VARIANTS(uevents);

FIXTURE_SETUP(uevents)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };

	self->fd = -1;
	self->unit = variant->align;
	if (geteuid() || !region_find(variant->align, &self->region))
		return;
	ASSERT_EQ(0, region_empty(&self->region));
	self->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, bind(self->fd, (struct sockaddr *)&address, sizeof(address)));
}

FIXTURE_TEARDOWN(uevents)
{
	if (self->fd < 0)
		return;
	close(self->fd);
	EXPECT_EQ(0, region_restore(&self->region));
}

struct event {
	size_t length;
	char text[4096];	/* ACTION@DEVPATH, then VARIABLE=VALUE, each with a zero */
};

/* The value of a variable, NULL when it is not there. */
static const char *event_value(const struct event *event, const char *name)
{
	size_t at, n = strlen(name);

	for (at = 0; at < event->length; at += strlen(event->text + at) + 1)
		if (!strncmp(event->text + at, name, n) && event->text[at + n] == '=')
			return event->text + at + n + 1;
	return NULL;
}

static bool event_says(const struct event *event, const char *name, const char *value)
{
	const char *said = event_value(event, name);
	bool same = said && !strcmp(said, value);

	if (!same)
		fprintf(TH_LOG_STREAM, "# %s: %s is %s, not %s\n", event->text, name,
			said ? said : "absent", value);
	return same;
}

/*
 * The next event that is about an instance of class dax, or about nothing else in the
 * region's directories; false when there is none. The kernel has sent what an
 * operation caused before it returns.
 */
static bool next_event(int fd, struct event *event)
{
	ssize_t n;

	while ((n = recv(fd, event->text, sizeof(event->text) - 1, MSG_DONTWAIT)) > 0) {
		event->length = n;
		event->text[n] = '\0';
		if (strstr(event->text, "/dax"))
			return true;
	}
	return false;
}

/* What every event of an instance has, whatever it is about. */
static bool is_about(const struct event *event, const char *action, const char *name, dev_t devt)
{
	char number[32], tail[64];
	const char *path = event_value(event, "DEVPATH");
	bool good = event_says(event, "ACTION", action);

	good &= event_says(event, "SUBSYSTEM", "dax");
	good &= event_says(event, "DEVNAME", name);
	snprintf(number, sizeof(number), "%u", major(devt));
	good &= event_says(event, "MAJOR", number);
	snprintf(number, sizeof(number), "%u", minor(devt));
	good &= event_says(event, "MINOR", number);
	good &= event_value(event, "SEQNUM") != NULL;
	snprintf(tail, sizeof(tail), "/dax/%s", name);
	return good && path && strlen(path) > strlen(tail) &&
	       !strcmp(path + strlen(path) - strlen(tail), tail);
}

static unsigned long long sequence(const struct event *event)
{
	const char *text = event_value(event, "SEQNUM");

	return text ? strtoull(text, NULL, 10) : 0;
}

TEST_F(uevents, life_of_an_instance)
{
	char name[NAME_LENGTH], number[32];
	unsigned long long last;
	struct event event;
	dev_t devt;

	REQUIRE_REGION(&self->region, variant->align);
	while (next_event(self->fd, &event))
		;
	ASSERT_EQ(0, instance_create(&self->region, name));
	devt = instance_devt(name);
	ASSERT_TRUE(next_event(self->fd, &event));
	EXPECT_TRUE(is_about(&event, "add", name, devt));
	EXPECT_EQ(NULL, event_value(&event, "DAX_SIZE"));
	last = sequence(&event);
	EXPECT_FALSE(next_event(self->fd, &event)) {
		TH_LOG("one more: %s", event.text);
	}

	ASSERT_EQ(0, dax_resize(name, 3 * self->unit));
	ASSERT_TRUE(next_event(self->fd, &event));
	EXPECT_TRUE(is_about(&event, "change", name, devt));
	EXPECT_TRUE(event_says(&event, "DAX_OLD_SIZE", "0"));
	snprintf(number, sizeof(number), "%lu", 3 * self->unit);
	EXPECT_TRUE(event_says(&event, "DAX_SIZE", number));
	EXPECT_LT(last, sequence(&event));
	last = sequence(&event);
	EXPECT_FALSE(next_event(self->fd, &event));

	ASSERT_EQ(0, dax_resize(name, 0));
	ASSERT_TRUE(next_event(self->fd, &event));
	EXPECT_TRUE(is_about(&event, "change", name, devt));
	EXPECT_TRUE(event_says(&event, "DAX_OLD_SIZE", number));
	EXPECT_TRUE(event_says(&event, "DAX_SIZE", "0"));
	EXPECT_FALSE(next_event(self->fd, &event));

	ASSERT_EQ(0, region_write(&self->region, "delete", "%s", name));
	ASSERT_TRUE(next_event(self->fd, &event));
	EXPECT_TRUE(is_about(&event, "remove", name, devt));
	EXPECT_LT(last, sequence(&event));
	EXPECT_FALSE(next_event(self->fd, &event));
}

/* When the listener hears of it the instance is there, and usable. */
TEST_F(uevents, there_when_it_is_told)
{
	char name[NAME_LENGTH] = "", dir[PATH_MAX];
	struct event event;
	double until;
	pid_t pid;
	int fd;

	REQUIRE_REGION(&self->region, variant->align);
	while (next_event(self->fd, &event))
		;
	pid = fork();
	if (!pid) {
		nap_ms(100);
		_exit(-region_write(&self->region, "create", "1"));
	}
	until = seconds() + 10 * UNIDAX_PATIENCE;
	while (!next_event(self->fd, &event) && seconds() < until)
		;
	snprintf(name, sizeof(name), "%.31s", event_value(&event, "DEVNAME") ?: "");
	fd = instance_open(name, O_RDWR);
	EXPECT_LE(0, fd) {
		TH_LOG("/dev/%s: %s", name, strerror(-fd));
	}
	close(fd);
	snprintf(dir, sizeof(dir), UNIDAX_CLASS "/%s", name);
	EXPECT_EQ(0644, mode_of(dir, "size"));
	EXPECT_EQ(0, dax_number(name, "size"));
	EXPECT_EQ(0, child_verdict(pid));
}

TEST_F(uevents, refusals_are_silent)
{
	char name[NAME_LENGTH];
	struct event event;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, instance_create_sized(&self->region, name, self->unit));
	while (next_event(self->fd, &event))
		;
	EXPECT_EQ(-EBUSY, region_write(&self->region, "delete", "%s", name));
	EXPECT_EQ(-ENXIO, region_write(&self->region, "delete", "dax99.99"));
	EXPECT_EQ(-EINVAL, region_write(&self->region, "create", "2"));
	EXPECT_EQ(-EINVAL, dax_resize(name, self->unit + 1));
	EXPECT_EQ(-ENOSPC, dax_resize(name, self->region.size + self->unit));
	/* The size that it has already. */
	EXPECT_EQ(0, dax_resize(name, self->unit));
	EXPECT_EQ(-ENXIO, dax_write(name, "mapping", "%llx-%llx", self->region.start + 1,
				    self->region.start + 2));
	EXPECT_FALSE(next_event(self->fd, &event)) {
		TH_LOG("told: %s", event.text);
	}
}

/* Written to the attribute uevent, as udevadm trigger does. */
TEST_F(uevents, on_request)
{
	char name[NAME_LENGTH];
	struct event event;

	REQUIRE_REGION(&self->region, variant->align);
	ASSERT_EQ(0, instance_create(&self->region, name));
	while (next_event(self->fd, &event))
		;
	ASSERT_EQ(0, dax_write(name, "uevent", "change"));
	ASSERT_TRUE(next_event(self->fd, &event));
	EXPECT_TRUE(is_about(&event, "change", name, instance_devt(name)));
	EXPECT_EQ(NULL, event_value(&event, "DAX_SIZE"));
}

TEST_F(uevents, provider_goes_and_comes)
{
	const char *provider = loaded_provider();
	char parameters[1024], a[NAME_LENGTH], b[NAME_LENGTH];
	struct event event;
	int removed = 0, added = 0;
	double until;

	REQUIRE_REGION(&self->region, variant->align);
	REQUIRE_PROVIDER_MODULE(provider);
	ASSERT_EQ(0, instance_create_sized(&self->region, a, self->unit));
	ASSERT_EQ(0, instance_create(&self->region, b));
	loaded_parameters(provider, parameters, sizeof(parameters));
	while (next_event(self->fd, &event))
		;
	ASSERT_EQ(0, module_unload(provider));
	while (next_event(self->fd, &event)) {
		const char *subsystem = event_value(&event, "SUBSYSTEM");
		const char *name = event_value(&event, "DEVNAME");

		/* The provider's own device goes as well. */
		if (!subsystem || strcmp(subsystem, "dax"))
			continue;
		EXPECT_TRUE(event_says(&event, "ACTION", "remove"));
		removed += name && (!strcmp(name, a) || !strcmp(name, b));
	}
	EXPECT_EQ(2, removed);
	until = seconds() + 10 * UNIDAX_PATIENCE;
	while (module_load(provider, parameters) && seconds() < until)
		nap_ms(50);
	while (next_event(self->fd, &event)) {
		const char *subsystem = event_value(&event, "SUBSYSTEM");

		if (!subsystem || strcmp(subsystem, "dax"))
			continue;
		EXPECT_TRUE(event_says(&event, "ACTION", "add"));
		added++;
	}
	/* One for each region. */
	EXPECT_LE(1, added);
	ASSERT_TRUE(region_find(variant->align, &self->region));
	EXPECT_EQ(0, region_empty(&self->region));
}

TEST_HARNESS_MAIN

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Being somebody else: a user without any right, root of a user namespace of his own, and what a
 * container runtime makes of root. Each is for a child process, which cannot go back.
 * Include it after unidax_test.h.
 */
#ifndef USER_H
#define USER_H

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define NOBODY 65534

static inline bool become(uid_t uid)
{
	return !setgroups(0, NULL) && !setresgid(uid, uid, uid) && !setresuid(uid, uid, uid) &&
	       geteuid() == uid;
}

static inline bool become_nobody(void)
{
	return become(NOBODY);
}

static inline bool write_own(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return good;
}

/* Nobody in particular, but root of a user namespace of its own. */
static inline bool become_root_of_nothing(void)
{
	char text[64];

	if (!become_nobody() || unshare(CLONE_NEWUSER))
		return false;
	/* The process has lost the right to its own files with its identity. */
	prctl(PR_SET_DUMPABLE, 1);
	snprintf(text, sizeof(text), "0 %d 1", NOBODY);
	return write_own("/proc/self/setgroups", "deny") &&
	       write_own("/proc/self/uid_map", text) && write_own("/proc/self/gid_map", text) &&
	       !geteuid() && !getegid();
}

/*
 * A mount namespace where the scratch folder is empty but for the node, bind-mounted as `dax`, as
 * a container runtime gives a device to a container.
 */
static inline bool see_only(const char *node)
{
	char path[PATH_MAX];
	int fd;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", scratch_dir(), "tmpfs", 0, "mode=755"))
		return false;
	snprintf(path, sizeof(path), "%s/dax", scratch_dir());
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	if (fd < 0)
		return false;
	close(fd);
	return !mount(node, path, NULL, MS_BIND, NULL) && !chroot(scratch_dir()) && !chdir("/");
}

/* Still user 0, but with no more than a container runtime leaves by default. */
static inline bool keep_rights_of_a_container(void)
{
	static const unsigned int kept[] = {
		CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FSETID, CAP_FOWNER, CAP_MKNOD, CAP_NET_RAW,
		CAP_SETGID, CAP_SETUID, CAP_SETFCAP, CAP_SETPCAP, CAP_NET_BIND_SERVICE,
		CAP_SYS_CHROOT, CAP_KILL, CAP_AUDIT_WRITE,
	};
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kept); i++)
		data[kept[i] / 32].permitted |= 1U << (kept[i] % 32);
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	return !syscall(SYS_capset, &header, data);
}

/* Who holds the node, and how he came by it. */
enum holder {
	HOLDER_USER,		/* its mode lets everybody write */
	HOLDER_NAMESPACE,	/* root of a user namespace, the node bind-mounted there */
	HOLDER_CONTAINER,	/* user 0 in a container, without CAP_SYS_ADMIN */
};

/*
 * Become that; a descriptor of the node, or -1. The node's mode is 0666.
 */
static inline int become_holder(enum holder holder, const char *node, int flags)
{
	const char *path = "/dax";

	switch (holder) {
	case HOLDER_USER:
		if (!become_nobody())
			return -1;
		path = node;
		break;
	case HOLDER_NAMESPACE:
		if (!become_root_of_nothing() || !see_only(node))
			return -1;
		break;
	case HOLDER_CONTAINER:
		if (!see_only(node) || !keep_rights_of_a_container())
			return -1;
		break;
	}
	return open(path, flags | O_CLOEXEC);
}

#endif /* USER_H */

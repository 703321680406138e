/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk whose requests wait until a test lets them go: a device-mapper device that takes writes
 * and reads as zeros (dm-zero), suspended. Direct I/O to it holds its pages for as long as the test
 * wants, on a machine of any speed.
 *
 * The device stays until the machine ends. held_disk_open() lets go what a test that was killed has
 * left behind. Include it after unidax_test.h.
 */
#ifndef UNIDAX_HELD_DISK_H
#define UNIDAX_HELD_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/dm-ioctl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELD_DISK_SECTORS (GIB(1) / 512)

struct held_disk_call {
	struct dm_ioctl header;
	struct dm_target_spec target;
	char parameters[8];
};

/* One ioctl of the device mapper: 0 or a negative errno; @minor as it answers, unless NULL. */
static inline int held_disk_call(unsigned long request, unsigned int flags, unsigned int *minor)
{
	struct held_disk_call call = {
		.header = {
			.version = { 4, 0, 0 },
			.data_size = sizeof(call),
			.data_start = offsetof(struct held_disk_call, target),
			.target_count = request == DM_TABLE_LOAD,
			.flags = flags,
			.name = "unidax_held",
		},
		.target = { .length = HELD_DISK_SECTORS, .target_type = "zero" },
	};
	int fd = open("/dev/" DM_DIR "/" DM_CONTROL_NODE, O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, request, &call) ? -errno : 0;
	close(fd);
	if (minor)
		*minor = (call.header.dev & 0xff) | ((call.header.dev >> 12) & 0xfff00);
	return ret;
}

/* From now on requests wait. */
static inline int held_disk_hold(void)
{
	return held_disk_call(DM_DEV_SUSPEND, DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG |
			      DM_SKIP_LOCKFS_FLAG, NULL);
}

/* Those that wait are done, and those that come. */
static inline int held_disk_let_go(void)
{
	return held_disk_call(DM_DEV_SUSPEND, 0, NULL);
}

/* Make the disk if it is not there yet: its node, or false where the kernel has no such thing. */
static inline bool held_disk_open(char *node, size_t size)
{
	unsigned int minor = 0;
	int ret;

	if (system("PATH=$PATH:/usr/sbin:/sbin; modprobe -a dm-mod dm-zero >/dev/null 2>&1"))
		return false;
	ret = held_disk_call(DM_DEV_CREATE, 0, NULL);
	if ((ret && ret != -EBUSY) || (!ret && held_disk_call(DM_TABLE_LOAD, 0, NULL)) ||
	    held_disk_let_go() || held_disk_call(DM_DEV_STATUS, 0, &minor))
		return false;
	snprintf(node, size, "/dev/dm-%u", minor);
	return !access(node, F_OK);
}

/*
 * A process that writes @length bytes at @p to the disk (@out) or reads them. When this returns,
 * they are held. It ends with 0 if all were transferred. -1: it could not begin.
 */
static inline pid_t held_disk_transfer(const char *node, bool out, char *p, size_t length)
{
	struct iocb request = {
		.aio_lio_opcode = out ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_buf = (uintptr_t)p,
		.aio_nbytes = length,
	}, *requests[] = { &request };
	aio_context_t context = 0;
	struct io_event event;
	int begun[2];
	char word;
	pid_t pid;

	if (pipe2(begun, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(begun[0]);
		request.aio_fildes = open(node, O_RDWR | O_DIRECT | O_CLOEXEC);
		/* It returns when the pages are held and the request is the device's. */
		if (syscall(SYS_io_setup, 1, &context) ||
		    syscall(SYS_io_submit, context, 1, requests) != 1 ||
		    write(begun[1], "", 1) != 1)
			_exit(1);
		_exit(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1 ||
		      event.res != (long long)length);
	}
	close(begun[1]);
	if (pid > 0 && read(begun[0], &word, 1) != 1) {
		waitpid(pid, NULL, 0);
		pid = -1;
	}
	close(begun[0]);
	return pid;
}

#endif

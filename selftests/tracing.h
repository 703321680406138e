/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests share that look at what the kernel traces. Include it after
 * unidax_test.h, kselftest_harness.h and module_test.h.
 */
#ifndef TRACING_H
#define TRACING_H

#include <sys/mount.h>

#define TRACING "/sys/kernel/tracing/"

/*
 * 0 or a negative errno; tracing_end() undoes it.
 *
 * An event that is switched on makes the kernel listen to the scheduler's, too, for
 * the names of tasks: it rewrites instructions that the other processors run all the
 * time. QEMU's TCG with a thread for each processor may keep what it translated of
 * them in between, and goes from breakpoint to breakpoint for ever (7.2; a few
 * hundred times on and off suffice, without any module of ours). No test wants the
 * names, so it is asked not to.
 */
static inline int tracing_begin(void)
{
	if (access(TRACING "trace", F_OK) &&
	    mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, ""))
		return -errno;
	return sysfs_write(TRACING "options/record-cmd", "0");
}

static inline void tracing_end(void)
{
	sysfs_write(TRACING "options/record-cmd", "1");
}

/* Forget what was traced. */
static inline void tracing_clear(void)
{
	/* Opened so, it is emptied. */
	close(open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

/* How many lines match the extended regular expression; they are printed if asked for. */
static inline int tracing_lines(const char *expression, bool print)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[1024];
	regex_t re;
	int n = 0;

	if (!f || regcomp(&re, expression, REG_EXTENDED | REG_NOSUB)) {
		if (f)
			fclose(f);
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || regexec(&re, line, 0, NULL, 0))
			continue;
		n++;
		if (print)
			fprintf(TH_LOG_STREAM, "# %s\n", line);
	}
	regfree(&re);
	fclose(f);
	return n;
}

#endif /* TRACING_H */

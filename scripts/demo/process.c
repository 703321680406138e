// SPDX-License-Identifier: GPL-2.0
/*
 * A process for the demonstration to talk to. It reads one request per line and answers each with
 * one line, and it survives the signals that it is asked to provoke, so that one open file and one
 * mapping can be watched through everything that happens to the device. It judges nothing.
 *
 *   open NODE           open a device node                                  ok, or an errno
 *   map SIZE            map the device from its start                       ok, or an errno
 *   ordinary SIZE       map ordinary memory in 4 KiB pages instead          ok, or an errno
 *   put AT TEXT         write a text into the mapping                       ok, or a signal
 *   get AT              read the text there                                 "TEXT", or a signal
 *   touch AT SIZE STEP  write one byte every STEP bytes                     N faults, or a signal
 *   mapped              how much of the mapping is in the page table        N kB
 *   work AT SIZE        write and read back, again and again, and answer after the first round
 *                                                                                        working
 *   stop                end that                                N rounds, N wrong values, N signals
 *   pin AT              give the page to a pipe with vmsplice(2)            ok, or an errno
 *   unpin               take it out of the pipe again                       "TEXT" at its start
 *   quit
 *
 * AT and SIZE are in bytes; K, M and G multiply. The first mapping stays; one that is asked for
 * later is only tried.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096UL
#define LONGEST 80

static int node = -1;
static int pipe_ends[2] = { -1, -1 };
static char *memory;
static size_t memory_size;

static sigjmp_buf before_touch;

static void on_signal(int number)
{
	siglongjmp(before_touch, number);
}

/* Bytes, with a suffix or none. */
static size_t number(const char *text)
{
	char *end;
	size_t value = text ? strtoull(text, &end, 0) : 0;

	if (!text || end == text) {
		fprintf(stderr, "process: a number is missing\n");
		exit(2);
	}
	switch (*end) {
	case 'G':
		value <<= 10;
		/* fallthrough */
	case 'M':
		value <<= 10;
		/* fallthrough */
	case 'K':
		value <<= 10;
	}
	return value;
}

/* The byte at an offset of the mapping. What is not mapped is a mistake of the caller. */
static volatile char *at(const char *text)
{
	const size_t offset = number(text);

	if (offset >= memory_size) {
		fprintf(stderr, "process: %s is outside the mapping\n", text);
		exit(2);
	}
	return memory + offset;
}

static void answer_errno(long result)
{
	printf("%s\n", result < 0 ? strerrorname_np(errno) : "ok");
}

static void map(size_t size, int flags, int fd)
{
	char *const mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

	answer_errno(mapped == MAP_FAILED ? -1 : 0);
	if (mapped == MAP_FAILED)
		return;
	if (memory) {
		munmap(mapped, size);
		return;
	}
	memory = mapped;
	memory_size = size;
}

static void copy_in(volatile char *to, const char *text)
{
	do
		*to++ = *text;
	while (*text++);
}

static void copy_out(char *to, const volatile char *from)
{
	int i;

	for (i = 0; i < LONGEST - 1 && from[i]; i++)
		to[i] = from[i];
	to[i] = '\0';
}

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static long touch(volatile char *from, size_t size, size_t step)
{
	const long before = minor_faults();
	size_t i;

	for (i = 0; i < size; i += step)
		from[i] = 1;
	return minor_faults() - before;
}

/* What the page table has of the mapping, in kB: smaps of 6.12 counts no large page of a device. */
static long mapped(void)
{
	uint64_t entry;
	long pages = 0;
	size_t at;
	const int pagemap = open("/proc/self/pagemap", O_RDONLY);

	if (pagemap < 0)
		return -1;
	for (at = 0; at < memory_size; at += PAGE) {
		const off_t where = (uintptr_t)(memory + at) / PAGE * sizeof(entry);

		if (pread(pagemap, &entry, sizeof(entry), where) != sizeof(entry)) {
			close(pagemap);
			return -1;
		}
		/* Documentation/admin-guide/mm/pagemap.rst: bit 63, page present */
		pages += entry >> 63;
	}
	close(pagemap);
	return pages * (PAGE / 1024);
}

/*
 * One long per page, so that a round takes milliseconds. Counters are static because a signal
 * jumps back over them.
 */
static void work(volatile char *from, size_t size)
{
	static unsigned long rounds, wrong, signals;
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	static int told;
	char stop[16];
	size_t i;

	rounds = wrong = signals = told = 0;
	if (sigsetjmp(before_touch, 1))
		signals++;
	while (!poll(&input, 1, 0)) {
		if (!told && (rounds || signals))
			told = puts("working");
		for (i = 0; i < size; i += PAGE)
			*(volatile unsigned long *)(from + i) = rounds + i;
		for (i = 0; i < size; i += PAGE)
			wrong += *(volatile unsigned long *)(from + i) != rounds + i;
		rounds++;
	}
	if (!fgets(stop, sizeof(stop), stdin))
		exit(0);
	printf("%lu rounds, %lu wrong values, %lu signals\n", rounds, wrong, signals);
}

static void pin(volatile char *page)
{
	struct iovec what = { .iov_base = (void *)page, .iov_len = PAGE };

	answer_errno(pipe(pipe_ends) ? -1 : vmsplice(pipe_ends[1], &what, 1, 0));
}

static void unpin(void)
{
	static char bytes[PAGE];
	const ssize_t count = read(pipe_ends[0], bytes, sizeof(bytes));

	if (count != sizeof(bytes))
		answer_errno(-1);
	else
		printf("\"%.*s\"\n", LONGEST, bytes);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

static void serve(char *line)
{
	static char text[LONGEST];
	char *rest = line;
	const char *const request = strsep(&rest, " ");
	const int caught = sigsetjmp(before_touch, 1);

	if (caught) {
		printf("SIG%s\n", sigabbrev_np(caught));
	} else if (!strcmp(request, "open")) {
		node = open(rest, O_RDWR | O_CLOEXEC);
		answer_errno(node);
	} else if (!strcmp(request, "map")) {
		map(number(rest), MAP_SHARED, node);
	} else if (!strcmp(request, "ordinary")) {
		map(number(rest), MAP_PRIVATE | MAP_ANONYMOUS, -1);
		madvise(memory, memory_size, MADV_NOHUGEPAGE);
	} else if (!strcmp(request, "put")) {
		volatile char *const to = at(strsep(&rest, " "));

		copy_in(to, rest);
		answer_errno(0);
	} else if (!strcmp(request, "get")) {
		copy_out(text, at(rest));
		printf("\"%s\"\n", text);
	} else if (!strcmp(request, "touch")) {
		volatile char *const from = at(strsep(&rest, " "));
		const size_t size = number(strsep(&rest, " "));

		printf("%ld faults\n", touch(from, size, number(rest)));
	} else if (!strcmp(request, "mapped")) {
		printf("%ld kB\n", mapped());
	} else if (!strcmp(request, "work")) {
		volatile char *const from = at(strsep(&rest, " "));

		work(from, number(rest));
	} else if (!strcmp(request, "pin")) {
		pin(at(rest));
	} else if (!strcmp(request, "unpin")) {
		unpin();
	} else if (!strcmp(request, "quit")) {
		exit(0);
	} else {
		printf("unknown request\n");
	}
}

int main(void)
{
	const struct sigaction action = { .sa_handler = on_signal };
	char line[256], warm[PAGE];

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* The first call of anything costs faults of its own. */
	touch(warm, sizeof(warm), 1);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		serve(line);
	}
	return 0;
}

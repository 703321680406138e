// SPDX-License-Identifier: GPL-2.0
/*
 * trace: a plugin for QEMU's emulator (TCG) that writes down which blocks of
 * instructions were executed, in their order, between two marks in the program
 * that runs in the machine. scripts/bench/trace.py reads it.
 *
 * A record is 16 bytes: address of the block, number of its instructions. A mark,
 * an instruction without effect that bench.c's MARK() makes, is a record of no
 * instructions, its number in the place of the address; 0 ends what is traced.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

struct record {
	uint64_t address, instructions;
};

static FILE *out;
static int tracing;

static void put(const struct record *record)
{
	if (fwrite(record, sizeof(*record), 1, out) != 1)
		abort();
}

static void executed(unsigned int cpu, void *block)
{
	(void)cpu;
	if (tracing)
		put(block);
}

static void marked(unsigned int cpu, void *number)
{
	const struct record mark = { (uintptr_t)number, 0 };

	(void)cpu;
	tracing = !!number;
	put(&mark);
}

/* nopl N(%rax) with 0x5a5a5a in the upper bytes of the offset: MARK(N). */
static int is_mark(const uint8_t *code, size_t size)
{
	return size == 7 && code[0] == 0x0f && code[1] == 0x1f && code[2] == 0x80 &&
	       code[4] == 0x5a && code[5] == 0x5a && code[6] == 0x5a;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	/* Never freed: the translation may be in use until the machine ends. */
	struct record *block = malloc(sizeof(*block));

	(void)id;
	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->instructions = qemu_plugin_tb_n_insns(tb);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, QEMU_PLUGIN_CB_NO_REGS, block);
	for (size_t i = 0; i < block->instructions; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		const uint8_t *code = qemu_plugin_insn_data(insn);

		if (is_mark(code, qemu_plugin_insn_size(insn)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)code[3]);
	}
}

static void ended(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	if (fclose(out))
		abort();
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	const char *name = getenv("UNIDAX_TRACE");

	(void)info;
	(void)argc;
	(void)argv;
	out = name ? fopen(name, "w") : NULL;
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}

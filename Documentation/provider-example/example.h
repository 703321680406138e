/* SPDX-License-Identifier: GPL-2.0-only */
/* The boundary between the C and the C++ of the example. */
#ifdef __cplusplus
extern "C" {
#else
#include <linux/types.h>
#endif

int example_start(u64 start, u64 size);
void example_stop(void);

#ifdef __cplusplus
}
#endif

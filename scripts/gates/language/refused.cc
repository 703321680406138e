// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must not compile. Each case starts with a line `refused NAME: TEXT`, or
 * `refused NAME [CONFIG_X]: TEXT` where it takes that configuration, and reaches
 * to the next; language.py wants an error inside each that contains TEXT, and
 * none outside. The first part is what C++ forbids and -fpermissive
 * must not let through in our own code; the second what the kernel's headers
 * check at compile time and the overlay has to keep; the third what the door
 * has to take away; the last what our own types for numbers keep apart.
 */
#include "cdev/instance.hpp"
#include "core/memory/backing.hpp"

/* Kernels from 6.8 on want a declaration of every global function; there are none of a unit here. */
#pragma GCC diagnostic ignored "-Wmissing-declarations"

namespace gate {

void *memory();
int number();
enum Colour { RED, GREEN };
struct Large {
	long word[2];
};
struct Holder {
	int first;
	struct list_head node;
};
[[nodiscard]] int must_use();

/* --- our own code is C++ ----------------------------------------------------- */

// refused void_pointer_to_pointer: invalid conversion from 'void*' to 'int*'
int *void_pointer()
{
	int *p = memory();
	return p;
}

// refused void_pointer_argument: invalid conversion from 'void*' to 'int*'
void takes(int *p);
void void_pointer_argument()
{
	takes(memory());
}

// refused integer_to_enum: invalid conversion from 'int' to 'gate::Colour'
Colour integer_to_enum()
{
	Colour c = number();
	return c;
}

// refused integer_to_pointer: invalid conversion from 'int' to 'void*'
void *integer_to_pointer()
{
	void *p = number();
	return p;
}

// refused pointer_to_integer: invalid conversion from 'void*' to 'long unsigned int'
unsigned long pointer_to_integer()
{
	unsigned long n = memory();
	return n;
}

// refused other_pointer: cannot convert 'long int*' to 'int*'
int *other_pointer(long *p)
{
	int *q = p;
	return q;
}

// refused string_to_char_pointer: ISO C++ forbids converting a string constant to 'char*'
char *string_literal()
{
	char *s = "literal";
	return s;
}

// refused drops_const: invalid conversion from 'const int*' to 'int*'
int *drops_const(const int *p)
{
	return p;
}

// refused function_pointer: invalid conversion from 'int (*)(long int)' to 'int (*)(int)'
int takes_long(long x);
int (*function_pointer)(int) = takes_long;

// refused operation_table: invalid conversion from 'int (*)(long int)' to
const file_operations wrong_operation = {.open = takes_long};

// refused jump_over_initialisation: jump to label 'out'
int jump_over(int x)
{
	if (x)
		goto out;
	int y = x + 1;
	return y;
out:
	return 0;
}

// refused narrowing: narrowing conversion of '-1' from 'int' to 'unsigned int'
unsigned int narrowing()
{
	return unsigned{-1};
}

// refused designator_order: designator order
Holder designator_order()
{
	return Holder{.node = {}, .first = 1};
}

// refused implicit_fallthrough: this statement may fall through
int implicit_fallthrough(int x)
{
	switch (x) {
	case 1:
		x++;
	case 2:
		return x;
	}
	return 0;
}

// refused no_return: no return statement in function returning non-void
int no_return()
{}

// refused unused_result: ignoring return value of 'int gate::must_use()'
void unused_result()
{
	must_use();
}

// refused old_style_cast: use of old-style cast to 'int*'
int *old_style_cast(const int *p)
{
	return (int *)p;
}

// refused null_to_integer: converting to non-pointer type 'int' from NULL
int null_to_integer()
{
	int x = NULL;
	return x;
}

// refused exceptions: exception handling disabled
void exceptions()
{
	throw 1;
}

// refused run_time_types: cannot use 'typeid' with '-fno-rtti'
struct Polymorphic final {
	virtual void f();
};
const char *run_time_types(Polymorphic &p)
{
	return typeid(p).name();
}

// refused inline_variable: semantics of inline variable
inline constexpr int inline_variable = 1;

// refused static_constexpr_member: semantics of inline variable
struct StaticMember {
	static constexpr int value = 1;
};

// refused constinit_needs_constant: does not have a constant initializer
constinit int dynamic_initialiser = number();

/* --- the kernel's compile-time checks ---------------------------------------- */

// refused must_check: ignoring return value of 'int kstrtoull(
void must_check(const char *s, u64 *value)
{
	kstrtoull(s, 0, value);
}

// refused static_assert: static assertion failed
static_assert(sizeof(int) == 8, "static assertion");

// refused BUILD_BUG_ON_ZERO: narrowing conversion of '-1' || size '-1' of array is negative
int build_bug_on_zero()
{
	return BUILD_BUG_ON_ZERO(sizeof(int) == 4);
}

// refused ARRAY_SIZE_of_pointer: narrowing conversion of '-1' || size '-1' of array is negative
unsigned long size_of_pointer(int *p)
{
	return ARRAY_SIZE(p);
}

// refused GENMASK_order: narrowing conversion of '-1' || size '-1' of array is negative
unsigned long genmask()
{
	return GENMASK(1, 5);
}

// refused container_of_mismatch: pointer type mismatch in container_of()
Holder *container_mismatch(int *node)
{
	return container_of(node, Holder, node);
}

// refused list_entry_mismatch: pointer type mismatch in container_of()
Holder *list_entry_mismatch(work_struct *work)
{
	return list_entry(work, Holder, node);
}

// refused READ_ONCE_of_large: Unsupported access size for {READ,WRITE}_ONCE()
Large read_once_large(Large *p)
{
	return READ_ONCE(*p);
}

// refused WRITE_ONCE_of_large: Unsupported access size for {READ,WRITE}_ONCE()
struct Larger {
	long word[3];
};
void write_once_large(Larger *p, Larger value)
{
	WRITE_ONCE(*p, value);
}

// refused WRITE_ONCE_conversion: invalid conversion from 'void*'
void write_once_conversion(int **p)
{
	WRITE_ONCE(*p, memory());
}

// refused page_folio_of_other: pointer to another type || cannot convert 'inode*' to 'const page*'
folio *page_folio_of_other(inode *inode)
{
	return page_folio(inode);
}

// refused seqcount_of_other: no matching function for call to 'unidax_seqprop_sequence(
unsigned int seqcount_of_other(inode *inode)
{
	return read_seqcount_begin(inode);
}

// refused absolute_of_pointer: invalid 'static_cast' from type 'void*'
long absolute_of_pointer()
{
	return kcxx::absolute(memory());
}

// refused typecheck_flags: static assertion failed
void typecheck_flags(spinlock_t *lock)
{
	int flags;

	spin_lock_irqsave(lock, flags);
	spin_unlock_irqrestore(lock, flags);
}

// refused rcu_dereference_conversion: to 'int*' in return
int *rcu_dereference_conversion(long **p)
{
	return rcu_dereference_protected(*p, true);
}

// refused smp_store_release_large: Unsupported access size for {READ,WRITE}_ONCE()
struct Largest {
	long word[4];
};
void smp_store_release_large(Largest *p, Largest value)
{
	smp_store_release(p, value);
}

// refused dev_format: format '%d' expects argument of type 'int'
void dev_format(device *dev)
{
	dev_err(dev, "%d\n", 1ul);
}

// refused warn_format: format '%s' expects argument of type 'char*'
void warn_format(int x)
{
	WARN(x, "%s\n", x);
}

// refused choose_expr_of_two_types: operands to '?:' have different types
long choose_expr(Large large)
{
	return __builtin_choose_expr(1, 1, large);
}

/* --- what the door takes away ------------------------------------------------ */

// refused current_is_no_macro: 'current' was not declared
task_struct *current_macro()
{
	return current;
}

// refused min_is_no_macro: 'min' was not declared
int min_macro(int a, int b)
{
	return min(a, b);
}

// refused swap_is_no_macro: 'swap' was not declared
void swap_macro(int a, int b)
{
	swap(a, b);
}

// refused fallthrough_is_no_macro: 'fallthrough' was not declared
int fallthrough_macro(int x)
{
	switch (x) {
	case 1:
		x++;
		fallthrough;
	default:
		return x;
	}
}

/* --- numbers that must not be mixed up ---------------------------------------- */

using unidax::Address, unidax::Alignment, unidax::Pages, unidax::Pfn, unidax::Pgoff;

// refused size_for_address: to 'unidax::Address'
bool size_for_address(u64 start, u64 size)
{
	return unidax::RequestedRange::request(size, start, "gate%d", 0).ok();
}

// refused alignment_for_address: <unidax::AlignmentMeaning>' to '
bool alignment_for_address(Address start, u64 size, Alignment align)
{
	return unidax::Backing::make(align, size, start, 0, 0, nullptr).ok();
}

// refused alignment_for_size: cannot convert 'unidax::Alignment'
bool alignment_for_size(unidax::region::Allocation &allocation, Pages size, Alignment align,
			const unidax::Cancellation &cancellation)
{
	return allocation.extend(align, size, unidax::region::any_number, cancellation).ok();
}

// refused size_for_appended_address: to 'unidax::Address'
bool size_for_appended_address(unidax::cdev::Instance &instance, Address start, u64 size)
{
	return instance.append(size, start).ok();
}

// refused braces_for_address: would use explicit constructor
bool braces_for_address(u64 size, Alignment align)
{
	return unidax::Backing::make({size}, size, align, 0, 0, nullptr).ok();
}

// refused unchecked_guard: use of deleted function
u64 unchecked_guard(unidax::cdev::Instance &instance)
{
	return instance.live().try_access()->align;
}

// refused unchecked_exclusive_guard: use of deleted function
void unchecked_exclusive_guard(unidax::cdev::Instance &instance)
{
	(*instance.live().exclusive()).align = PAGE_SIZE;
}

// refused count_for_position: to non-scalar type 'unidax::Pgoff'
Pgoff count_for_position(Pages count)
{
	Pgoff position = count;
	return position;
}

// refused position_on_other_axis: could not convert 'pfn' from
Pgoff position_on_other_axis(Pfn pfn)
{
	return pfn;
}

// refused position_plus_position: no match for 'operator+'
Pgoff position_plus_position(Pgoff a, Pgoff b)
{
	return a + b;
}

// refused number_for_count: could not convert 'n' from
Pages number_for_count(unsigned long n)
{
	return n;
}

} // namespace gate

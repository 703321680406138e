// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults that the build does not see, for they lie in a macro of a kernel
 * header, where the compiler is told to be silent. The strict gate must name
 * each; the form is that of language/refused.cc.
 */
#define pr_fmt(fmt) "unidax: " fmt
#include "core/cxx/kernel.hpp"

/* Kernels from 6.8 on want a declaration of every global function; there are none of a unit here. */
#pragma GCC diagnostic ignored "-Wmissing-declarations"

namespace gate {

struct Item {
	void __rcu *next;
};

// refused printk_format: format '%s' expects argument of type 'char*'
void printk_format()
{
	pr_info("%s\n", 1);
}

// refused too_few_arguments: format '%d' expects a matching 'int' argument
void too_few_arguments()
{
	pr_err("%d %d\n", 1);
}

// refused page_folio_drops_const: invalid conversion from 'kcxx::like_const<folio, const page*>'
folio *page_folio_drops_const(const page *page)
{
	return page_folio(page);
}

// refused container_of_const_drops_const: invalid conversion from 'kcxx::like_const<gate::Item, void* const*>'
Item *container_of_const_drops_const(void *const *next)
{
	return container_of_const(next, Item, next);
}

// refused void_pointer_from_macro: invalid conversion from 'kcxx::unqualified<void*>'
int *void_pointer_from_macro(Item *item)
{
	return rcu_dereference_protected(item->next, true);
}

} // namespace gate

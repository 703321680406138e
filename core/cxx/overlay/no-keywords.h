// SPDX-License-Identifier: GPL-2.0-only
/*
 * The words of core/cxx/overlay/keywords.h are keywords again. A gate compares the
 * two lists.
 */
#undef catch
#undef class
#undef concept
#undef delete
#undef explicit
#undef export
#undef friend
#undef mutable
#undef namespace
#undef new
#undef operator
#undef private
#undef protected
#undef public
#undef requires
#undef template
#undef this
#undef throw
#undef try
#undef typeid
#undef typename
#undef using
#undef virtual

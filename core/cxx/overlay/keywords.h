// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words that are names in the kernel's headers and keywords in C++. Only
 * core/cxx/kernel.hpp includes this file, right before the first kernel header,
 * and takes each word back with core/cxx/overlay/no-keywords.h after the last.
 *
 * A renamed thing gets a trailing underscore and keeps it: `struct class` is
 * `struct class_` to our code, `page->private` is `page->private_`.
 *
 * A kernel macro that mentions one of these words in its body cannot be used
 * after the door (cmpxchg(), which has a `new` inside, is one); wrap it in the
 * door if it is needed.
 */
#define catch catch_
#define class class_
#define concept concept_
#define delete delete_
#define explicit explicit_
#define export export_
#define friend friend_
#define mutable mutable_
#define namespace namespace_
#define new new_
#define operator operator_
#define private private_
#define protected protected_
#define public public_
#define requires requires_
#define template template_
#define this this_
#define throw throw_
#define try try_
#define typeid typeid_
#define typename typename_
#define using using_
#define virtual virtual_

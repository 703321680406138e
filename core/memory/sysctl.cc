// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading sysctls; see core/memory/sysctl.hpp.
 *
 * The file is opened in a mount of proc that is nobody's, made for this: whoever runs may have no
 * /proc, or another one, and a mount that is kept would hold on to the pid namespace of whoever
 * loaded the module. And it is opened with the kernel's credentials, for the machine check comes to
 * whoever runs, who may not be allowed to open it. It is for what happens once in years.
 */
#include "core/memory/sysctl.hpp"
#include "core/cxx/owner.hpp"

namespace unidax::sysctl {
namespace {

/* The credentials of the kernel itself (include/linux/cred.h). */
class Credentials : public Unique<const cred *, [](const cred *cred) { put_cred(cred); }> {
public:
	/** make() - Context: process context, may sleep. Errors: -ENOMEM. */
	[[nodiscard]] static Result<Credentials> make()
	{
		const cred *const cred = prepare_kernel_cred(&init_task);

		if (!cred)
			return Error(-ENOMEM);
		return Credentials(cred);
	}

private:
	using Unique::Unique;
};

/* What this task does while this exists it does with other credentials. */
class Overridden : NoCopy {
public:
	explicit Overridden(const Credentials &by) : before_(override_creds(by.get())) {}
	~Overridden() { revert_creds(before_); }

private:
	const cred *const before_;
};

/* A mount of proc that is in no namespace. */
class Mount : public Unique<vfsmount *, [](vfsmount *mount) { kern_unmount(mount); }> {
public:
	/** make() - Context: process context, sleeps. Errors: -ENODEV, what a mount returns. */
	[[nodiscard]] static Result<Mount> make()
	{
		/* Always a part of the kernel: it has no module to hold. */
		file_system_type *const type = get_fs_type("proc");

		if (!type)
			return Error(-ENODEV);
		return Mount(TRY(check_pointer(kern_mount(type))));
	}

private:
	using Unique::Unique;
};

/* A file that is open for reading (include/linux/file.h). */
class OpenFile : public Unique<file *, fput> {
public:
	/**
	 * make() - open the file @name of @mount.
	 * Context: process context, sleeps. Errors: what open(2) returns.
	 */
	[[nodiscard]] static Result<OpenFile> make(const Mount &mount, const char *name)
	{
		const path root = {.mnt = mount.get(), .dentry = mount.get()->mnt_root};

		return OpenFile(TRY(check_pointer(file_open_root(&root, name, O_RDONLY, 0))));
	}

private:
	using Unique::Unique;
};

/* The first digit of the setting @name, which is a path below /proc. */
Result<char> first_digit(const char *name)
{
	const Credentials credentials = TRY(Credentials::make());
	const Overridden overridden(credentials);
	const Mount mount = TRY(Mount::make());
	const OpenFile open = TRY(OpenFile::make(mount, name));
	char text[8] = {};
	loff_t position = 0;
	const ssize_t length = kernel_read(open.get(), text, sizeof(text), &position);

	if (length <= 0)
		return Error(length ? length : -EIO);
	return text[0];
}

} // namespace

bool memory_failure_early_kill()
{
	Result<char> digit = first_digit("sys/vm/memory_failure_early_kill");

	return digit.ok() && digit.take() == '1';
}

} // namespace unidax::sysctl

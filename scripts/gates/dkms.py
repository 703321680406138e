#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""
DKMS gate: dkms.conf says what is so.

    modules      it names every module that the build made, in its place, and no other
    kernels      it accepts the series of SUPPORTED in scripts/kheaders, and no other
    symbols      it wants every configuration symbol that the sources assert, and the
                 kernel that was built for has all that it wants
    version      every module carries its version

It reads dkms.conf as dkms does, in bash, and matches releases as dkms does.
"""

import glob
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys

import gatelib

# What dkms and this gate read of the file, as "NAME[INDEX] VALUE" lines.
READ = r"""
kernel_source_dir=$2
source "$1" >/dev/null
for name in PACKAGE_VERSION BUILT_MODULE_NAME BUILT_MODULE_LOCATION DEST_MODULE_LOCATION \
	    BUILD_EXCLUSIVE_KERNEL BUILD_EXCLUSIVE_CONFIG AUTOINSTALL; do
	declare -n array=$name
	for index in "${!array[@]}"; do
		printf '%s[%s] %s\n' "$name" "$index" "${array[index]}"
	done
done
while read -r release; do
	[[ $release =~ $BUILD_EXCLUSIVE_KERNEL ]] && printf 'accepts[%s] \n' "$release"
done
true
"""

RELEASES = ["%d.%d.0-1-amd64" % (major, minor) for major in range(4, 8) for minor in range(0, 30)]


def supported():
    """SUPPORTED of scripts/kheaders."""
    loader = importlib.machinery.SourceFileLoader("kheaders", os.path.join(gatelib.ROOT, "scripts/kheaders"))
    spec = importlib.util.spec_from_loader("kheaders", loader)
    module = importlib.util.module_from_spec(spec)
    # It has no extension, so its bytecode would be left beside it.
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return set(module.SUPPORTED)


def asserted():
    """The configuration symbols that the sources cannot do without."""
    found = set()
    for path in gatelib.cxx_sources():
        with open(path, encoding="utf-8") as f:
            found |= set(re.findall(r"static_assert\(IS_ENABLED\((CONFIG_\w+)\)", f.read()))
    return found


def configuration():
    with open(os.path.join(gatelib.kdir(), ".config"), encoding="utf-8") as f:
        return set(re.findall(r"^(CONFIG_\w+)=[ym]$", f.read(), re.M))


def version_of(module):
    done = subprocess.run(["modinfo", "-F", "version", module], capture_output=True, text=True, check=True,
                          env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
    return done.stdout.strip()


def judge(path, facts):
    """What is wrong in one dkms.conf."""
    done = subprocess.run(["bash", "-c", READ, "bash", path, facts["kernel"]], input="\n".join(RELEASES) + "\n",
                          capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:
        return ["bash cannot read it: " + done.stderr.strip()]
    said = {}
    for name, index, value in re.findall(r"^(\w+)\[([^]]*)\] (.*)$", done.stdout, re.M):
        said.setdefault(name, {})[index] = value

    def value(name):
        return said.get(name, {}).get("0", "")

    wrong = []
    names, places = said.get("BUILT_MODULE_NAME", {}), said.get("BUILT_MODULE_LOCATION", {})
    modules = {os.path.normpath(os.path.join(places.get(i, ""), name + ".ko")) for i, name in names.items()}
    wrong += ["%s is built and not in it" % m for m in sorted(facts["modules"] - modules)]
    wrong += ["%s is in it and not built" % m for m in sorted(modules - facts["modules"])]
    wrong += ["%s has no DEST_MODULE_LOCATION" % names[i] for i in names if i not in said.get("DEST_MODULE_LOCATION", {})]
    if len(set(names.values())) != len(names):
        wrong.append("two modules have one name")

    series = {".".join(release.split(".")[:2]) for release in said.get("accepts", {})}
    wrong += ["BUILD_EXCLUSIVE_KERNEL leaves out %s, which scripts/kheaders supports" % s
              for s in sorted(facts["supported"] - series)]
    wrong += ["BUILD_EXCLUSIVE_KERNEL accepts %s, which scripts/kheaders does not support" % s
              for s in sorted(series - facts["supported"])]

    symbols = set(value("BUILD_EXCLUSIVE_CONFIG").split())
    wrong += ["%s is asserted and not in BUILD_EXCLUSIVE_CONFIG" % s for s in sorted(facts["asserted"] - symbols)]
    wrong += ["BUILD_EXCLUSIVE_CONFIG wants %s, which this kernel does without" % s
              for s in sorted(symbols - facts["configuration"])]

    if not re.fullmatch(r"\d+(\.\d+)+", value("PACKAGE_VERSION")):
        wrong.append("PACKAGE_VERSION is no version: '%s'" % value("PACKAGE_VERSION"))
    wrong += ["%s has the version '%s', dkms.conf '%s'" % (m, v, value("PACKAGE_VERSION"))
              for m, v in sorted(facts["versions"].items()) if v != value("PACKAGE_VERSION")]
    if value("AUTOINSTALL") != "yes":
        wrong.append("AUTOINSTALL is not yes")
    return wrong


def main():
    report = gatelib.Report()
    built = {os.path.relpath(path, gatelib.ROOT): path for path in gatelib.modules()}
    facts = {
        "kernel": gatelib.kdir(),
        "modules": set(built),
        "supported": supported(),
        "asserted": asserted(),
        "configuration": configuration(),
        "versions": {name: version_of(path) for name, path in built.items()},
    }
    folders = {os.path.relpath(path, gatelib.ROOT) for path in glob.glob(os.path.join(gatelib.ROOT, "providers/*/Kbuild"))}
    conf = os.path.join(gatelib.ROOT, "dkms.conf")
    for wrong in judge(conf, facts):
        report.finding("dkms.conf: " + wrong)

    with open(conf, encoding="utf-8") as f:
        text = f.read()
    last = max(map(int, re.findall(r"^BUILT_MODULE_NAME\[(\d+)\]", text, re.M)))
    plants = {
        "a module is missing": (r"^\w+\[%d\]=.*\n" % last, "", "is built and not in it"),
        "a module is elsewhere": (r'^(BUILT_MODULE_LOCATION\[%d\]=").*"' % last, r'\1elsewhere"', "in it and not built"),
        "a module has no destination": (r"^DEST_MODULE_LOCATION\[%d\]=.*\n" % last, "", "no DEST_MODULE_LOCATION"),
        "every kernel is accepted": (r"^BUILD_EXCLUSIVE_KERNEL=.*", 'BUILD_EXCLUSIVE_KERNEL=""', "does not support"),
        "a dot is missing behind the series": (r"\\\.\"$", '"', "does not support"),
        "no kernel is accepted": (r"^BUILD_EXCLUSIVE_KERNEL=.*", 'BUILD_EXCLUSIVE_KERNEL="^0"', "leaves out"),
        "an asserted symbol is missing": (r"CONFIG_FS_DAX ", "", "is asserted and not in"),
        "a symbol that does not exist": (r"CONFIG_FS_DAX ", "CONFIG_FS_DAX CONFIG_UNIDAX_PLANTED ", "does without"),
        "another version": (r'^PACKAGE_VERSION="', 'PACKAGE_VERSION="9', "has the version"),
        "a version that is none": (r'^PACKAGE_VERSION=.*', 'PACKAGE_VERSION="next"', "is no version"),
        "not bash": (r"\Z", "\n(\n", "bash cannot read it"),
    }
    scratch = gatelib.Scratch("dkms")
    os.symlink(os.path.join(gatelib.ROOT, "scripts"), scratch.file("scripts"))
    wrong = judge(conf, dict(facts, kernel=scratch.path))
    report.control("a kernel whose dax bus is not known", wrong == ["providers/bus/unidax_bus.ko is built and not in it"],
                   "; ".join(wrong))
    for name, (find, to, message) in plants.items():
        changed = re.sub(find, to, text, count=0 if "module is missing" in name else 1, flags=re.M)
        wrong = judge(scratch.write("planted.conf", changed), facts)
        report.control(name, changed != text and any(message in w for w in wrong), "; ".join(wrong) or "nothing was said")

    if len(folders) + 1 != len(built):
        report.finding("the build made %d modules, the tree has unidax and %d providers" % (len(built), len(folders)))
    report.end("%d modules, %d releases, %d configuration symbols"
               % (len(built), len(RELEASES), len(facts["asserted"])))


if __name__ == "__main__":
    main()

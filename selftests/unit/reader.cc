// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include "core/cxx/reader.hpp"

using namespace unidax;

namespace {

/* What bytes() makes of all of @text: whether it takes it, and the value. */
struct Bytes {
	explicit Bytes(const char *text)
	{
		Reader reader(text);

		ok = reader.bytes(value) && reader.at_end();
	}

	bool ok;
	u64 value = 0;
};

struct Hex {
	explicit Hex(const char *text)
	{
		Reader reader(text);

		ok = reader.hex(value) && reader.at_end();
	}

	bool ok;
	u64 value = 0;
};

} // namespace

TEST_CASE("sizes")
{
	CHECK(Bytes("0").ok);
	CHECK(Bytes("4096").value == 4096);
	CHECK(Bytes("0x1000").value == 4096);
	CHECK(Bytes("2M").value == 2 << 20);
	CHECK(Bytes("1g").value == 1 << 30);
	CHECK(Bytes("15E").value == 15ULL << 60);
	CHECK(Bytes("0xffffffffffffffff").value == ~0ULL);
}

TEST_CASE("sizes that are none, or do not fit")
{
	CHECK_FALSE(Bytes("").ok);
	CHECK_FALSE(Bytes("-1").ok);
	CHECK_FALSE(Bytes("M").ok);
	CHECK_FALSE(Bytes(" 1").ok);
	CHECK_FALSE(Bytes("1X").ok);
	CHECK_FALSE(Bytes("16E").ok);
	CHECK_FALSE(Bytes("17179869184G").ok);
	CHECK_FALSE(Bytes("99999999999999999999").ok);
	CHECK_FALSE(Bytes("0x10000000000000000").ok);
}

TEST_CASE("numbers")
{
	int n = -1;

	CHECK(Reader("7").number(n, 7));
	CHECK(n == 7);
	CHECK_FALSE(Reader("8").number(n, 7));
	CHECK_FALSE(Reader("").number(n, 7));
	CHECK_FALSE(Reader("4294967296").number(n, INT_MAX));
	CHECK(n == 7);
}

TEST_CASE("addresses in hex")
{
	CHECK(Hex("100000000").value == 0x100000000);
	CHECK(Hex("0x1f").value == 0x1f);
	CHECK(Hex("ffffffffffffffff").value == ~0ULL);
	CHECK_FALSE(Hex("10000000000000000").ok);
	CHECK_FALSE(Hex("").ok);
	CHECK_FALSE(Hex("0x").ok);
	CHECK_FALSE(Hex("1g").ok);
}

TEST_CASE("words")
{
	Reader reader("2M@4G,keep");
	u64 size, start;

	CHECK(reader.bytes(size));
	CHECK(reader.skip("@"));
	CHECK(reader.bytes(start));
	CHECK_FALSE(reader.at_end());
	CHECK_FALSE(reader.skip(",persistent"));
	CHECK(reader.skip(",keep"));
	CHECK(reader.at_end());
	CHECK_FALSE(reader.skip("x"));
}

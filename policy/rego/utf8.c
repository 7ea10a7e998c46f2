#include "policy/rego/utf8.h"

static bool is_continuation(char c)
{
    return ((uint8_t) c & 0xc0) == 0x80;
}

size_t utf8_read(const char *at, size_t len, uint32_t *out)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t               first   = len > 0 ? (uint8_t) at[0] : 0xff;
    size_t                n       = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    uint32_t              rune;

    if (n == 0 || n > len)
        return 0;
    rune = n == 1 ? first : first & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (!is_continuation(at[i]))
            return 0;
        rune = rune << 6 | ((uint8_t) at[i] & 0x3fu);
    }
    if (rune < least[n] || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return 0;
    *out = rune;
    return n;
}

size_t utf8_step(const char *at, size_t len, uint32_t *out)
{
    size_t n = utf8_read(at, len, out);

    if (n > 0)
        return n;
    *out = RUNE_BAD;
    return 1;
}

size_t utf8_write(uint32_t rune, char out[static 4])
{
    if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        rune = RUNE_BAD;
    if (rune < 0x80) {
        out[0] = (char) rune;
        return 1;
    }

    size_t n = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, rune >>= 6)
        out[i] = (char) (0x80 | (rune & 0x3f));
    out[0] = (char) ((0xf00u >> n & 0xffu) | rune);
    return n;
}

size_t utf8_count(const char *at, size_t len)
{
    size_t   n = 0;
    uint32_t rune;

    for (size_t i = 0; i < len; n++)
        i += (uint8_t) at[i] < 0x80 ? 1 : utf8_step(at + i, len - i, &rune);
    return n;
}

bool utf8_valid(const char *at, size_t len)
{
    uint32_t rune;

    for (size_t i = 0, n; i < len; i += n) {
        n = (uint8_t) at[i] < 0x80 ? 1 : utf8_read(at + i, len - i, &rune);
        if (n == 0)
            return false;
    }
    return true;
}

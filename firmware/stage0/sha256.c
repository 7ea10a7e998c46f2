#include "firmware/stage0/sha256.h"

#include <string.h>

const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/*
 * Two ways to rotate. The rotate instructions set two flags and keep the others, which makes them several times dearer
 * than shifts under QEMU's emulation: so the word is written twice and shifted. With BMI2 there is RORX, which sets none.
 */
enum rotation { BY_SHIFTS, BY_RORX };

static inline __attribute__((always_inline)) uint32_t three_rotations(enum rotation how, uint32_t x, unsigned i, unsigned j, unsigned k)
{
    uint64_t twice = x;

    if (how == BY_RORX)
        return (x >> i | x << (32 - i)) ^ (x >> j | x << (32 - j)) ^ (x >> k | x << (32 - k));
    __asm__("" : "+r"(twice)); /* else the compiler sees that these are rotations */
    twice |= twice << 32;
    return (uint32_t) (twice >> i ^ twice >> j ^ twice >> k);
}

static inline __attribute__((always_inline)) uint32_t two_rotations(enum rotation how, uint32_t x, unsigned i, unsigned j)
{
    uint64_t twice = x;

    if (how == BY_RORX)
        return (x >> i | x << (32 - i)) ^ (x >> j | x << (32 - j));
    __asm__("" : "+r"(twice)); /* as above */
    twice |= twice << 32;
    return (uint32_t) (twice >> i ^ twice >> j);
}

/* The rounds rename the eight words instead of moving them; W reads or makes the next word of the message. */
#define ROUND(a, b, c, d, e, f, g, h, k, w)                                          \
    do {                                                                             \
        uint32_t t = (h) + three_rotations(how, e, 6, 11, 25) + ((g) ^ ((e) & ((f) ^ (g)))) + (k) + (w);  \
        (d) += t;                                                                    \
        (h) = t + three_rotations(how, a, 2, 13, 22) + (((a) & (b)) | ((c) & ((a) | (b))));               \
    } while (0)

#define EIGHT_ROUNDS(i, W)                                       \
    ROUND(a, b, c, d, e, f, g, h, sha256_constants[(i) + 0], W((i) + 0));       \
    ROUND(h, a, b, c, d, e, f, g, sha256_constants[(i) + 1], W((i) + 1));       \
    ROUND(g, h, a, b, c, d, e, f, sha256_constants[(i) + 2], W((i) + 2));       \
    ROUND(f, g, h, a, b, c, d, e, sha256_constants[(i) + 3], W((i) + 3));       \
    ROUND(e, f, g, h, a, b, c, d, sha256_constants[(i) + 4], W((i) + 4));       \
    ROUND(d, e, f, g, h, a, b, c, sha256_constants[(i) + 5], W((i) + 5));       \
    ROUND(c, d, e, f, g, h, a, b, sha256_constants[(i) + 6], W((i) + 6));       \
    ROUND(b, c, d, e, f, g, h, a, sha256_constants[(i) + 7], W((i) + 7))

#define FIRST(i) (w[i])
#define NEXT(i)                                                                              \
    (w[(i) & 15] += (two_rotations(how, w[((i) - 2) & 15], 17, 19) ^ w[((i) - 2) & 15] >> 10) + \
                    w[((i) - 7) & 15] +                                                       \
                    (two_rotations(how, w[((i) - 15) & 15], 7, 18) ^ w[((i) - 15) & 15] >> 3))

static inline __attribute__((always_inline)) uint32_t load_be(const uint8_t *at)
{
    uint32_t v;

    memcpy(&v, at, sizeof v);
    return __builtin_bswap32(v);
}

static inline __attribute__((always_inline)) void mix_blocks(enum rotation how, uint32_t state[static 8],
                                                             const uint8_t *blocks, size_t n)
{
    for (; n > 0; n--, blocks += SHA256_BLOCK_LEN) {
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        uint32_t w[16];

        for (unsigned i = 0; i < 16; i++)
            w[i] = load_be(blocks + 4 * i);
        EIGHT_ROUNDS(0, FIRST);
        EIGHT_ROUNDS(8, FIRST);
        for (unsigned i = 16; i < 64; i += 16) {
            EIGHT_ROUNDS(i, NEXT);
            EIGHT_ROUNDS(i + 8, NEXT);
        }
        state[0] += a; state[1] += b; state[2] += c; state[3] += d;
        state[4] += e; state[5] += f; state[6] += g; state[7] += h;
    }
}

void sha256_blocks_plain(uint32_t state[static 8], const uint8_t *blocks, size_t n)
{
    mix_blocks(BY_SHIFTS, state, blocks, n);
}

__attribute__((target("bmi,bmi2"))) void sha256_blocks_bmi2(uint32_t state[static 8], const uint8_t *blocks, size_t n)
{
    mix_blocks(BY_RORX, state, blocks, n);
}

void sha256_with(sha256_blocks_fn *blocks, struct bytes message, uint8_t out[static SHA256_DIGEST_LEN])
{
    uint32_t state[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                          0x5be0cd19 };
    uint8_t  tail[2 * SHA256_BLOCK_LEN] = { 0 };
    size_t   rest                       = message.len % SHA256_BLOCK_LEN;
    size_t   tail_len                   = rest < SHA256_BLOCK_LEN - 8 ? SHA256_BLOCK_LEN : 2 * SHA256_BLOCK_LEN;
    struct writer length                = writer_over(tail + tail_len - 8, 8);
    struct writer digest                = writer_over(out, SHA256_DIGEST_LEN);

    if (message.len >= SHA256_BLOCK_LEN)
        blocks(state, message.at, message.len / SHA256_BLOCK_LEN);
    if (rest > 0)
        memcpy(tail, message.at + message.len - rest, rest);
    tail[rest] = 0x80;
    put_u64be(&length, (uint64_t) message.len * 8);
    blocks(state, tail, tail_len / SHA256_BLOCK_LEN);
    for (unsigned i = 0; i < 8; i++)
        put_u32be(&digest, state[i]);
}

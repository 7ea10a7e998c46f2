#include "firmware/stage0/boot_log.h"

enum { ALGORITHMS_MAX = 8, EV_NO_ACTION = 3 };

static const struct { uint16_t alg, len; } algorithms[] = { { 4, 20 }, { 11, 32 }, { 12, 48 }, { 13, 64 }, { 18, 32 } };

static uint16_t digest_len(uint16_t alg)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        if (algorithms[i].alg == alg)
            return algorithms[i].len;
    return 0;
}

/* The first record names the algorithms: those of the first event. */
static FALLIBLE start(struct machine *m, struct reader digests, struct err *err)
{
    uint32_t      n = take_u32be(&digests);
    struct writer w = writer_over(m->log, BOOT_LOG_LEN);

    if (digests.failed || n > ALGORITHMS_MAX)
        return fail_with(err, ERR_MALFORMED, "%u banks", n);
    put_u32le(&w, 0);
    put_u32le(&w, EV_NO_ACTION);
    put_zeros(&w, 20);
    put_u32le(&w, 29 + 4 * n);
    put(&w, (struct bytes){ (const uint8_t *) "Spec ID Event03", 16 });
    put_u32le(&w, 0); /* platform class: PC client */
    put_u8(&w, 0);
    put_u8(&w, 2); /* version 2.0 */
    put_u8(&w, 105);
    put_u8(&w, 2); /* words of 64 bits */
    put_u32le(&w, n);
    for (uint32_t i = 0; i < n; i++) {
        uint16_t alg = take_u16be(&digests);

        put_u16le(&w, alg);
        put_u16le(&w, digest_len(alg));
        take(&digests, digest_len(alg));
        if (digests.failed || digest_len(alg) == 0)
            return fail_with(err, ERR_UNSUPPORTED, "a bank of algorithm %#x", alg);
    }
    put_u8(&w, 0); /* no vendor text */
    if (!writer_ok(&w, err))
        return false;
    m->log_len = w.len;
    return true;
}

FALLIBLE boot_log_add(struct machine *m, unsigned index, uint32_t type, struct bytes event, struct reader digests,
                      struct err *err)
{
    if (!m->log)
        return true;
    if (m->log_len == 0 && !start(m, digests, err))
        return false;

    struct writer w = writer_over(m->log + m->log_len, BOOT_LOG_LEN - m->log_len);
    uint32_t      n = take_u32be(&digests);

    put_u32le(&w, index);
    put_u32le(&w, type);
    put_u32le(&w, n);
    for (uint32_t i = 0; i < n && i < ALGORITHMS_MAX; i++) {
        uint16_t alg = take_u16be(&digests);

        put_u16le(&w, alg);
        put(&w, take(&digests, digest_len(alg)));
    }
    put_u32le(&w, (uint32_t) event.len);
    put(&w, event);
    if (digests.failed || n > ALGORITHMS_MAX)
        return fail_with(err, ERR_MALFORMED, "an answer that is cut off");
    if (!writer_ok(&w, err))
        return false;
    m->log_len += w.len;
    return true;
}

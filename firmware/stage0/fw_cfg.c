#include "firmware/stage0/fw_cfg.h"

#include <string.h>

enum { PORT_SELECT = 0x510, PORT_BYTE = 0x511, PORT_DMA_HIGH = 0x514, PORT_DMA_LOW = 0x518 };
enum { KEY_SIGNATURE = 0, KEY_VERSION = 1, KEY_DIRECTORY = 0x19, VERSION_DMA = 2 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SELECT = 8, DESCRIPTOR_LEN = 16, SPINS_MAX = 100000000 };

static uint32_t read_bytes(const struct machine *m, uint16_t key)
{
    uint32_t value = 0;

    port_out(m, PORT_SELECT, 2, key);
    for (unsigned i = 0; i < 4; i++)
        value |= port_in(m, PORT_BYTE, 1) << (8 * i);
    return value;
}

static uint32_t control_of(const volatile uint8_t *descriptor)
{
    return (uint32_t) descriptor[0] << 24 | (uint32_t) descriptor[1] << 16 | (uint32_t) descriptor[2] << 8 |
           descriptor[3];
}

/* One transfer to `gpa`, which the host writes. */
static FALLIBLE transfer(const struct machine *m, uint32_t control, uint64_t gpa, uint32_t len, struct err *err)
{
    volatile uint8_t *shared = machine_shared(m, STAGE0_DMA);
    uint8_t           descriptor[DESCRIPTOR_LEN];
    struct writer     w = writer_over(descriptor, sizeof descriptor);

    put_u32be(&w, control);
    put_u32be(&w, len);
    put_u64be(&w, gpa);
    for (size_t i = 0; i < sizeof descriptor; i++)
        shared[i] = descriptor[i];
    port_out(m, PORT_DMA_HIGH, 4, 0);
    port_out(m, PORT_DMA_LOW, 4, __builtin_bswap32(STAGE0_DMA));
    for (uint32_t i = 0; i < SPINS_MAX; i++) {
        uint32_t now = control_of(shared);

        if (now == 0)
            return true;
        if ((now & DMA_ERROR) != 0)
            return fail_with(err, ERR_MALFORMED, "fw_cfg: the host reports an error");
    }
    return fail_with(err, ERR_TIMEOUT, "fw_cfg: no answer");
}

FALLIBLE fw_cfg_read(const struct machine *m, uint16_t key, uint8_t *into, size_t len, struct err *err)
{
    uint32_t select = (uint32_t) key << 16 | DMA_SELECT;
    size_t   step   = m->kind == STAGE0_PLAIN ? len : STAGE0_BOUNCE_END - STAGE0_BOUNCE;

    for (size_t at = 0; at < len; at += step, select = 0) {
        uint32_t n      = (uint32_t) (len - at < step ? len - at : step);
        uint64_t target = m->kind == STAGE0_PLAIN ? (uint64_t) (into + at) : STAGE0_BOUNCE;

        if (!transfer(m, select | DMA_READ, target, n, err))
            return false;
        if (m->kind != STAGE0_PLAIN)
            memcpy(into + at, (const uint8_t *) machine_shared(m, STAGE0_BOUNCE), n);
    }
    return true;
}

FALLIBLE fw_cfg_read_u32(const struct machine *m, uint16_t key, uint32_t *out, struct err *err)
{
    uint8_t       number[4] = { 0 };
    struct reader r         = reader_over(BYTES_OF(number));

    if (!fw_cfg_read(m, key, number, sizeof number, err))
        return false;
    *out = take_u32le(&r);
    return reader_done(&r, err);
}

FALLIBLE fw_cfg_open(struct machine *m, struct err *err)
{
    uint8_t       count[4] = { 0 };
    struct reader r        = reader_over(BYTES_OF(count));

    if (read_bytes(m, KEY_SIGNATURE) != 0x554d4551 || (read_bytes(m, KEY_VERSION) & VERSION_DMA) == 0) /* "QEMU" */
        return fail_with(err, ERR_NOT_FOUND, "fw_cfg: there is none that can do DMA");
    if (!fw_cfg_read(m, KEY_DIRECTORY, count, sizeof count, err))
        return false;

    uint32_t n   = take_u32be(&r);
    size_t   len = n * (size_t) DIRECTORY_ENTRY_LEN;

    if (!reader_done(&r, err))
        return false;
    if (n > DIRECTORY_FILES_MAX)
        return fail_with(err, ERR_LIMIT, "fw_cfg: %u files, at most %d", n, DIRECTORY_FILES_MAX);

    /* The entries lie behind the count in the same item: read both, use the entries. */
    if (!fw_cfg_read(m, KEY_DIRECTORY, m->directory, sizeof count + len, err))
        return false;
    m->files = (struct bytes){ m->directory + sizeof count, len };
    return true;
}

FALLIBLE fw_cfg_read_file(const struct machine *m, const char *name, uint8_t *into, size_t room, size_t *len,
                          struct err *err)
{
    struct directory_file file    = { 0 };
    bool                  present = false;

    if (!directory_find(m->files, name, &present, &file, err))
        return false;
    if (!present)
        return fail_with(err, ERR_NOT_FOUND, "fw_cfg: no file %s", name);
    if (file.len > room)
        return fail_with(err, ERR_LIMIT, "%s: %u bytes, at most %zu", name, file.len, room);
    *len = file.len;
    return fw_cfg_read(m, file.key, into, file.len, err);
}

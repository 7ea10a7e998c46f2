#include "attestation/evidence/event_log.h"

#include <string.h>

enum { CCEL_END = -1, SPEC_ID_LEN = 24, SEPARATOR_LEN = 4 };

const char *event_type_name(uint32_t type)
{
    static const struct { uint32_t type; const char *name; } names[] = {
        { 0x0, "EV_PREBOOT_CERT" }, { 0x1, "EV_POST_CODE" }, { EV_NO_ACTION, "EV_NO_ACTION" },
        { EV_SEPARATOR, "EV_SEPARATOR" }, { EV_ACTION, "EV_ACTION" }, { EV_EVENT_TAG, "EV_EVENT_TAG" },
        { 0x7, "EV_S_CRTM_CONTENTS" }, { EV_S_CRTM_VERSION, "EV_S_CRTM_VERSION" }, { 0x9, "EV_CPU_MICROCODE" },
        { EV_PLATFORM_CONFIG_FLAGS, "EV_PLATFORM_CONFIG_FLAGS" }, { 0xb, "EV_TABLE_OF_DEVICES" },
        { 0xc, "EV_COMPACT_HASH" }, { EV_IPL, "EV_IPL" }, { 0xe, "EV_IPL_PARTITION_DATA" },
        { 0xf, "EV_NONHOST_CODE" }, { 0x10, "EV_NONHOST_CONFIG" }, { EV_NONHOST_INFO, "EV_NONHOST_INFO" },
        { EV_EFI_VARIABLE_DRIVER_CONFIG, "EV_EFI_VARIABLE_DRIVER_CONFIG" },
        { EV_EFI_VARIABLE_BOOT, "EV_EFI_VARIABLE_BOOT" },
        { EV_EFI(0x3), "EV_EFI_BOOT_SERVICES_APPLICATION" }, { EV_EFI(0x4), "EV_EFI_BOOT_SERVICES_DRIVER" },
        { EV_EFI(0x5), "EV_EFI_RUNTIME_SERVICES_DRIVER" }, { EV_EFI_GPT_EVENT, "EV_EFI_GPT_EVENT" },
        { EV_EFI_ACTION, "EV_EFI_ACTION" }, { EV_EFI(0x8), "EV_EFI_PLATFORM_FIRMWARE_BLOB" },
        { EV_EFI(0x9), "EV_EFI_HANDOFF_TABLES" }, { EV_EFI(0xa), "EV_EFI_PLATFORM_FIRMWARE_BLOB2" },
        { EV_EFI(0xb), "EV_EFI_HANDOFF_TABLES2" }, { EV_EFI_VARIABLE_BOOT2, "EV_EFI_VARIABLE_BOOT2" },
        { EV_EFI(0x10), "EV_EFI_HCRTM_EVENT" }, { EV_EFI_VARIABLE_AUTHORITY, "EV_EFI_VARIABLE_AUTHORITY" },
        { EV_EFI(0xe1), "EV_EFI_SPDM_FIRMWARE_BLOB" }, { EV_EFI(0xe2), "EV_EFI_SPDM_FIRMWARE_CONFIG" },
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].type == type)
            return names[i].name;
    return "EV_UNKNOWN";
}

const char *event_data_name(enum event_data d)
{
    static const char *const names[] = {
        [EVENT_DATA_LABEL] = "label", [EVENT_DATA_AUTHENTIC] = "authentic", [EVENT_DATA_FORGED] = "forged",
    };

    return names[d];
}

/* CoCo's attester writes zeros for the 24 fixed bytes where firmware left no log. [evidence-formats.md 3.1] */
static bool is_spec_id(struct bytes fixed, enum event_log_kind kind)
{
    static const char signature[16] = "Spec ID Event03";

    return bytes_equal((struct bytes){ fixed.at, fixed.len < 16 ? 0 : 16 }, BYTES_OF(signature)) ||
           (kind == EVENT_LOG_CCEL && fixed.len == SPEC_ID_LEN && bytes_are_zero(fixed));
}

static FALLIBLE banks_read(struct reader *r, struct event_log *log, struct err *err)
{
    uint32_t n = take_u32le(r);

    if (!reader_ok(r, err))
        return false;
    if (n == 0 || n > EVENT_ALGORITHMS_MAX)
        return fail_with(err, ERR_LIMIT, "%u banks; 1 to %d are allowed", n, EVENT_ALGORITHMS_MAX);
    for (size_t i = 0; i < n; i++) {
        uint16_t id   = take_u16le(r);
        uint16_t size = take_u16le(r);

        if (!reader_ok(r, err))
            return false;
        log->hash[i] = tpm_hash_by_id(id);
        if (!log->hash[i] || log->hash[i]->len != size)
            return fail_with(err, ERR_UNSUPPORTED, "bank %#x with digests of %u bytes", id, size);
        for (size_t k = 0; k < i; k++)
            if (log->hash[k] == log->hash[i])
                return fail_with(err, ERR_MALFORMED, "bank %s twice", log->hash[i]->name);
    }
    log->n_hashes = n;
    return true;
}

/* The first record has the old form; its data names the banks. OVMF puts it in register 1 of a CCEL. [TCG-PFP 10.4.5.1] */
static FALLIBLE header_read(struct reader *r, struct event_log *log, struct err *err)
{
    uint32_t      index  = take_u32le(r);
    uint32_t      type   = take_u32le(r);
    struct bytes  digest = take(r, 20);
    struct reader data   = take_reader(r, take_u32le(r));

    if (!reader_ok(r, err))
        return false;

    struct bytes fixed = take(&data, SPEC_ID_LEN);

    if (index > (log->kind == EVENT_LOG_CCEL) || type != EV_NO_ACTION || !bytes_are_zero(digest) || !is_spec_id(fixed, log->kind))
        return fail_with(err, ERR_UNSUPPORTED, "does not start with \"Spec ID Event03\"");
    if (!banks_read(&data, log, err))
        return false;
    take(&data, take_u8(&data)); /* vendor */
    return reader_done(&data, err);
}

/* One event in the crypto-agile form; fails the reader for a bank that the header does not name or names twice. */
static void take_event(struct reader *r, const struct event_log *log, struct event *e)
{
    *e       = (struct event){ .index = take_u32le(r), .type = 0 };
    e->type  = take_u32le(r);
    uint32_t n = take_u32le(r);

    if (n > log->n_hashes)
        r->failed = true;
    for (uint32_t i = 0; i < n && !r->failed; i++) {
        size_t bank = event_log_bank(log, take_u16le(r));

        if (bank == log->n_hashes || e->digest[bank].len > 0)
            r->failed = true;
        else
            e->digest[bank] = take(r, log->hash[bank]->len);
    }
    e->data = take(r, take_u32le(r));
}

size_t event_log_bank(const struct event_log *log, uint16_t hash_id)
{
    for (size_t i = 0; i < log->n_hashes; i++)
        if (log->hash[i]->id == hash_id)
            return i;
    return log->n_hashes;
}

/* How many zero bytes end the area: found once, since asking at every event would take quadratic time. */
static size_t zeros_at_the_end(struct bytes whole)
{
    size_t n = 0;

    while (n < whole.len && whole.at[whole.len - 1 - n] == 0)
        n++;
    return n;
}

/* Whether nothing but the area's filling is left. */
static bool is_padding(struct bytes left, size_t n_zeros)
{
    struct reader r = reader_over(left);

    return left.len <= n_zeros || take_u32le(&r) == (uint32_t) CCEL_END;
}

FALLIBLE event_log_parse(struct bytes whole, enum event_log_kind kind, struct event_log *out, struct err *err)
{
    struct event_log log = { .kind = kind };
    struct reader    r   = reader_over(whole);
    struct event     e;
    uint32_t         n_registers = kind == EVENT_LOG_CCEL ? CCEL_REGISTERS : EVENT_REGISTERS;

    if (whole.len > EVENT_LOG_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "event log of %zu bytes; at most %d are allowed", whole.len,
                         EVENT_LOG_LEN_MAX);
    if (!header_read(&r, &log, err))
        return context(err, "event log header");
    log.events = r.left;

    size_t n_zeros = zeros_at_the_end(r.left);

    while (kind == EVENT_LOG_CCEL ? !is_padding(r.left, n_zeros) : r.left.len > 0) {
        size_t offset = r.offset;

        take_event(&r, &log, &e);
        if (!reader_ok(&r, err))
            return fail_with(err, ERR_MALFORMED, "event log: event %zu at offset %zu does not fit its banks or the log",
                             log.n_events, offset);
        if (e.index >= n_registers && e.type != EV_NO_ACTION)
            return fail_with(err, ERR_MALFORMED, "event log: event %zu is of register %u", log.n_events, e.index);
        log.n_events++;
    }
    log.events.len -= r.left.len;
    *out = log;
    return true;
}

bool event_next(const struct event_log *log, struct reader *r, struct event *out)
{
    struct err err;

    if (r->left.len == 0)
        return false;
    take_event(r, log, out);
    return reader_ok(r, &err);
}

/* EV_NO_ACTION "StartupLocality": a TPM started at locality 3 or 4 begins PCR 0 with it. [TCG-PFP 10.4.5.3] */
static void startup_locality(const struct event *e, struct event_replay *out)
{
    static const char name[16] = "StartupLocality";

    if (e->index == 0 && e->data.len == sizeof name + 1 &&
        bytes_equal((struct bytes){ e->data.at, sizeof name }, BYTES_OF(name)) && !out->is_extended[0])
        out->value[0][out->hash->len - 1] = e->data.at[sizeof name];
}

static void separator_count(const struct event *e, struct event_replay *out)
{
    out->n_separators[e->index]++;
    if (e->data.len != SEPARATOR_LEN || !bytes_are_zero(e->data))
        out->has_error_separator = true;
}

static void registers_start(enum event_log_kind kind, struct event_replay *out)
{
    for (size_t i = 17; kind == EVENT_LOG_TPM && i <= 22; i++) /* dynamic PCRs before a dynamic launch */
        memset(out->value[i], 0xff, out->hash->len);
}

FALLIBLE event_log_replay(const struct event_log *log, uint16_t hash_id, struct event_replay *out, struct err *err)
{
    size_t              bank   = event_log_bank(log, hash_id);
    struct event_replay replay = { 0 };
    struct reader       r      = reader_over(log->events);
    struct event        e;

    if (bank == log->n_hashes)
        return fail_with(err, ERR_NOT_FOUND, "event log has no bank %#x", hash_id);
    replay.hash = log->hash[bank];
    registers_start(log->kind, &replay);
    while (event_next(log, &r, &e)) {
        if (e.type == EV_NO_ACTION) {
            if (log->kind == EVENT_LOG_TPM)
                startup_locality(&e, &replay);
            continue;
        }
        if (e.digest[bank].len == 0)
            return fail_with(err, ERR_MALFORMED, "an event of register %u has no %s digest", e.index,
                             replay.hash->name);
        if (log->kind == EVENT_LOG_CCEL && e.index == 0)
            continue; /* MRTD is not extended by anyone: such events only inform */
        tpm_hash_of(replay.hash, (struct bytes){ replay.value[e.index], replay.hash->len }, e.digest[bank],
                    replay.value[e.index]);
        replay.is_extended[e.index] = true;
        if (e.type == EV_SEPARATOR)
            separator_count(&e, &replay);
    }
    *out = replay;
    return true;
}

bool event_replay_has_extra_separators(const struct event_log *log, const struct event_replay *r)
{
    enum { STATIC_PCRS = 8 };
    size_t n = log->kind == EVENT_LOG_CCEL ? CCEL_REGISTERS : STATIC_PCRS;

    for (size_t i = 0; i < n; i++)
        if (r->n_separators[i] > 1 || (log->kind == EVENT_LOG_TPM && r->n_separators[i] == 0))
            return true;
    return r->has_error_separator;
}

static bool is_digest_of(const struct event_log *log, const struct event *e, size_t bank, struct bytes data)
{
    uint8_t digest[TPM_HASH_LEN_MAX];

    tpm_hash_of(log->hash[bank], data, (struct bytes){ 0 }, digest);
    return bytes_equal(e->digest[bank], (struct bytes){ digest, log->hash[bank]->len });
}

/* Of a UEFI_VARIABLE_DATA, the data behind GUID, lengths and name. [TCG-PFP 10.2.6] */
static struct bytes variable_data(struct bytes whole)
{
    struct reader r = reader_over(whole);
    struct err    err;

    take(&r, 16);
    uint64_t n_characters = take_u64le(&r);
    uint64_t len          = take_u64le(&r);

    if (!reader_ok(&r, &err) || n_characters > r.left.len / 2)
        return (struct bytes){ 0 };
    take(&r, (size_t) n_characters * 2);

    struct bytes data = take(&r, len <= r.left.len ? (size_t) len : 0);

    return reader_ok(&r, &err) && data.len == len ? data : (struct bytes){ 0 };
}

/* GRUB hashes the text behind "grub_cmd: " and the like, without the zero that ends it. */
static struct bytes grub_text(struct bytes data)
{
    static const char *const prefixes[] = { "grub_cmd: ", "kernel_cmdline: ", "module_cmdline: " };

    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);

        if (data.len <= n || memcmp(data.at, prefixes[i], n) != 0)
            continue;
        data = (struct bytes){ data.at + n, data.len - n };
        if (data.len > 0 && data.at[data.len - 1] == 0)
            data.len--;
        return data;
    }
    return (struct bytes){ 0 };
}

enum event_data event_data_judge(const struct event_log *log, const struct event *e, size_t bank)
{
    struct bytes part = { 0 };

    if (e->type == EV_NO_ACTION || e->digest[bank].len == 0)
        return EVENT_DATA_LABEL;
    if (is_digest_of(log, e, bank, e->data))
        return EVENT_DATA_AUTHENTIC;
    if (e->type == EV_EFI_VARIABLE_BOOT)
        part = variable_data(e->data);
    else if (e->type == EV_IPL)
        part = grub_text(e->data);
    if (part.len > 0 && is_digest_of(log, e, bank, part))
        return EVENT_DATA_AUTHENTIC;
    switch (e->type) { /* not EV_EFI_VARIABLE_AUTHORITY: shims of Google's guests hash something else */
    case EV_S_CRTM_VERSION:
    case EV_SEPARATOR:
    case EV_ACTION:
    case EV_EFI_ACTION:
    case EV_EFI_VARIABLE_DRIVER_CONFIG:
    case EV_EFI_GPT_EVENT:
    case EV_NONHOST_INFO:
        return EVENT_DATA_FORGED;
    default:
        return EVENT_DATA_LABEL;
    }
}

#include "guest/init/cmdline.h"

#include <string.h>

#include "base/auto.h"
#include "base/text.h"

/*
 * Every value that may stand behind a key. NULL ends a row. None of them loads code, opens a shell, names another
 * init, changes what is trusted or turns a protection off.
 */
static const struct allowed {
    const char *key;
    const char *values[8]; /* "" is a key without "=" */
} table[] = {
    { "cloister.tee",   { "snp", "tdx", "tpm", "sim" } },
    { "console",        { "hvc0", "ttyS0", "ttyS0,115200", "ttyS0,115200n8" } },
    { "quiet",          { "" } },
    { "loglevel",       { "0", "1", "2", "3", "4", "5", "6", "7" } },
    { "panic",          { "-1", "1" } },
    { "reboot",         { "t", "k" } },
    { "oops",           { "panic" } },
    { "ia32_emulation", { "off", "0" } },
    { "cgroup_no_v1",   { "all" } },
    { "tsc",            { "reliable" } },
    { "no_timer_check", { "" } },
    { "random.trust_cpu", { "on", "1" } },
    { "random.trust_bootloader", { "off", "0" } },
    { "i8042.noaux",    { "", "1" } },
    { "i8042.nomux",    { "", "1" } },
    { "i8042.dumbkbd",  { "", "1" } },
    { "i8042.nopnp",    { "", "1" } },
    { "rcupdate.rcu_expedited", { "1" } },
    { "noreplace-smp",  { "" } },
    { "cryptomgr.notests", { "", "1" } },
    { "acpi",           { "off" } },
    { "accept_memory",  { "lazy", "eager" } },
    { "pci",            { "lastbus=0", "nocrs" } },
    { "swiotlb",        { "force" } },
    { "init_on_alloc",  { "1" } },
    { "init_on_free",   { "1" } },
    { "lockdown",       { "integrity", "confidentiality" } },
    { "initrd",         { "initrd" } }, /* OVMF says so of the one that it was given and has checked */
};

enum { N_KEYS = sizeof table / sizeof *table, N_VALUES = sizeof table->values / sizeof *table->values };

const char *cmdline_tee_name(enum cmdline_tee tee)
{
    return tee == CMDLINE_TEE_NONE ? "none" : table[0].values[tee - CMDLINE_TEE_SNP];
}

static bool equals(struct bytes text, const char *wanted)
{
    return bytes_equal(text, bytes_of_text(wanted));
}

static FALLIBLE deny(struct bytes word, const char *why, struct err *err)
{
    AUTO(buffer) struct buffer shown = { 0 };

    printable_append(&shown, word, 64);
    return fail_with(err, ERR_DENIED, "kernel command line: %s: %s", buffer_text(&shown), why);
}

static FALLIBLE read_word(struct bytes word, bool seen[static N_KEYS], struct cmdline *out, struct err *err)
{
    const uint8_t *equal = memchr(word.at, '=', word.len);
    struct bytes   key   = { word.at, equal ? (size_t) (equal - word.at) : word.len };
    struct bytes   value = { 0 };

    if (equal)
        value = (struct bytes){ equal + 1, word.len - key.len - 1 };
    for (size_t k = 0; k < N_KEYS; k++) {
        if (!equals(key, table[k].key))
            continue;
        if (seen[k])
            return deny(word, "given twice", err);
        seen[k] = true;
        for (size_t v = 0; v < N_VALUES && table[k].values[v]; v++) {
            bool is_bare = table[k].values[v][0] == 0;

            if (is_bare == (equal != NULL) || !equals(value, table[k].values[v]))
                continue;
            if (k == 0)
                out->tee = CMDLINE_TEE_SNP + (unsigned) v;
            return true;
        }
        return deny(word, "this value is not allowed", err);
    }
    return deny(word, "not allowed", err);
}

FALLIBLE cmdline_read(struct bytes text, struct cmdline *out, struct err *err)
{
    bool           seen[N_KEYS] = { false };
    struct cmdline read         = { 0 };
    size_t         at           = 0;

    if (text.len > CMDLINE_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "kernel command line: over %d bytes", CMDLINE_LEN_MAX);
    if (text.len > 0 && text.at[text.len - 1] == '\n')
        text.len--; /* the kernel's own, behind what the host gave */
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x20 || text.at[i] > 0x7e)
            return fail_with(err, ERR_MALFORMED, "kernel command line: byte %#x at %zu", text.at[i], i);

    while (at < text.len) {
        const uint8_t *space = memchr(text.at + at, ' ', text.len - at);
        struct bytes   word  = { text.at + at, space ? (size_t) (space - text.at) - at : text.len - at };

        if (word.len > 0 && !read_word(word, seen, &read, err))
            return false;
        at += word.len + 1;
    }
    if (read.tee == CMDLINE_TEE_NONE)
        return fail_with(err, ERR_CONFIG, "kernel command line: cloister.tee is missing");
    *out = read;
    return true;
}

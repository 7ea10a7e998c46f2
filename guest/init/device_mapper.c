#include "guest/init/device_mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "base/auto.h"

/* What every call sends: head, one target, its parameters. */
struct message {
    struct dm_ioctl       head;
    struct dm_target_spec target;
    char                  table[DM_TABLE_MAX + 1];
};

static struct message message_for(const char *name)
{
    struct message m = { .head = { .version    = { 4, 0, 0 },
                                   .data_size  = sizeof m,
                                   .data_start = offsetof(struct message, target),
                                   .flags      = DM_SECURE_DATA_FLAG } }; /* the kernel wipes its copy */

    (void) snprintf(m.head.name, sizeof m.head.name, "%s", name); /* our own constants: fit */
    return m;
}

FALLIBLE dm_table_write(const char *before, const struct secret *key, const char *after, struct secret *out, struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    struct bytes      raw      = secret_expose(key);
    size_t            n_before = strlen(before), n_after = strlen(after);

    if (!secret_new(n_before + 2 * raw.len + n_after, out, err))
        return false;
    uint8_t *at = out->held;
    memcpy(at, before, n_before);
    at += n_before;
    for (size_t i = 0; i < raw.len; i++) {
        *at++ = (uint8_t) digits[raw.at[i] >> 4];
        *at++ = (uint8_t) digits[raw.at[i] & 15];
    }
    memcpy(at, after, n_after);
    return true;
}

static FALLIBLE call(int control, unsigned long request, struct message *m, const char *what, struct err *err)
{
    return ioctl(control, request, m) == 0 || err_os(err, "device mapper: %s %s", what, m->head.name);
}

static FALLIBLE load(int control, const char *name, bool read_only, const char *target, uint64_t sectors, const struct secret *table,
                     struct err *err)
{
    struct message m = message_for(name);
    bool           ok;

    m.head.target_count = 1;
    m.head.flags |= read_only ? DM_READONLY_FLAG : 0;
    m.target.length     = sectors;
    m.target.next       = sizeof m - offsetof(struct message, target);
    (void) snprintf(m.target.target_type, sizeof m.target.target_type, "%s", target); /* likewise */
    if (table->len > 0)
        memcpy(m.table, secret_expose(table).at, table->len);
    ok = call(control, DM_TABLE_LOAD, &m, "load", err);
    OPENSSL_cleanse(&m, sizeof m);
    return ok;
}

static void remove_unheard(int control, const char *name)
{
    struct message removed = message_for(name);

    (void) ioctl(control, DM_DEV_REMOVE, &removed); /* what failed before is what counts */
}

static FALLIBLE start(int control, const char *name, bool read_only, const char *target, uint64_t sectors, const struct secret *table,
                      struct dm_device *out, struct err *err)
{
    struct message resumed = message_for(name);

    if (!load(control, name, read_only, target, sectors, table, err) || !call(control, DM_DEV_SUSPEND, &resumed, "start", err)) {
        remove_unheard(control, name);
        return false;
    }
    out->major = major(resumed.head.dev);
    out->minor = minor(resumed.head.dev);
    (void) snprintf(out->path, sizeof out->path, "/dev/dm-%u", out->minor); /* fits */
    return true;
}

static FALLIBLE control_open(const struct secret *table, int *control, struct err *err)
{
    if (table->len > DM_TABLE_MAX)
        return fail_with(err, ERR_LIMIT, "device mapper: a table of %zu bytes", table->len);
    *control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    return *control >= 0 || err_os(err, "device mapper");
}

FALLIBLE dm_device_make(const char *name, bool read_only, const char *target, uint64_t sectors, const struct secret *table,
                        struct dm_device *out, struct err *err)
{
    AUTO(fd) int   control = NO_FD;
    struct message created = message_for(name);

    return control_open(table, &control, err) && call(control, DM_DEV_CREATE, &created, "make", err) &&
           start(control, name, read_only, target, sectors, table, out, err);
}

FALLIBLE dm_device_start(const char *name, bool read_only, const char *target, uint64_t sectors, const struct secret *table,
                         struct dm_device *out, struct err *err)
{
    AUTO(fd) int control = NO_FD;

    return control_open(table, &control, err) && start(control, name, read_only, target, sectors, table, out, err);
}

/*
 * A first table is what makes the kernel register the disk. It is cleared at once: a second one would wait until
 * nobody can see the first.
 */
FALLIBLE dm_device_reserve(const char *reserved, struct err *err)
{
    AUTO(fd) int               control = NO_FD;
    AUTO(secret) struct secret nothing = { 0 };
    struct message             created = message_for(reserved), cleared = message_for(reserved);

    if (!control_open(&nothing, &control, err) || !call(control, DM_DEV_CREATE, &created, "make", err))
        return false;
    if (load(control, reserved, true, "error", 1, &nothing, err) && call(control, DM_TABLE_CLEAR, &cleared, "clear", err))
        return true;
    remove_unheard(control, reserved);
    return false;
}

FALLIBLE dm_device_rename(const char *reserved, const char *name, struct err *err)
{
    AUTO(fd) int   control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    struct message m       = message_for(reserved);

    m.head.data_start = offsetof(struct message, table);
    (void) snprintf(m.table, sizeof m.head.name, "%s", name); /* our own constants: fit */
    return control < 0 ? err_os(err, "device mapper") : call(control, DM_DEV_RENAME, &m, "rename", err);
}

FALLIBLE dm_device_remove(const char *name, struct err *err)
{
    AUTO(fd) int   control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    struct message m       = message_for(name);

    return control < 0 ? err_os(err, "device mapper") : call(control, DM_DEV_REMOVE, &m, "remove", err);
}

FALLIBLE dm_device_status(const char *name, char out[static DM_STATUS_MAX + 1], struct err *err)
{
    AUTO(fd) int   control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    struct message m       = message_for(name);

    if (control < 0)
        return errno == ENOENT ? fail_with(err, ERR_NOT_FOUND, "device mapper: not here") : err_os(err, "device mapper");
    if (!call(control, DM_TABLE_STATUS, &m, "status of", err))
        return false;
    if (m.head.target_count == 0)
        return fail_with(err, ERR_NOT_FOUND, "device mapper: %s has no target", name);
    m.table[DM_TABLE_MAX] = 0;
    (void) snprintf(out, DM_STATUS_MAX + 1, "%.*s", DM_STATUS_MAX, m.table); /* cut on purpose */
    return true;
}

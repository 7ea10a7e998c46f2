#include "guest/init/device_mapper.h"

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

static FALLIBLE call(int control, unsigned long request, struct message *m, const char *what, struct err *err)
{
    return ioctl(control, request, m) == 0 || err_os(err, "device mapper: %s %s", what, m->head.name);
}

static FALLIBLE load(int control, const char *name, const char *target, uint64_t sectors, const struct secret *table,
                     struct err *err)
{
    struct message m = message_for(name);
    bool           ok;

    m.head.target_count = 1;
    m.target.length     = sectors;
    m.target.next       = sizeof m - offsetof(struct message, target);
    (void) snprintf(m.target.target_type, sizeof m.target.target_type, "%s", target); /* likewise */
    memcpy(m.table, secret_expose(table).at, table->len);
    ok = call(control, DM_TABLE_LOAD, &m, "load", err);
    OPENSSL_cleanse(&m, sizeof m);
    return ok;
}

static FALLIBLE make(int control, const char *name, const char *target, uint64_t sectors, const struct secret *table,
                     struct dm_device *out, struct err *err)
{
    struct message created = message_for(name), resumed = message_for(name);

    if (!call(control, DM_DEV_CREATE, &created, "make", err))
        return false;
    if (!load(control, name, target, sectors, table, err) || !call(control, DM_DEV_SUSPEND, &resumed, "start", err)) {
        struct message removed = message_for(name);

        (void) ioctl(control, DM_DEV_REMOVE, &removed); /* what failed before is what counts */
        return false;
    }
    out->major = major(resumed.head.dev);
    out->minor = minor(resumed.head.dev);
    (void) snprintf(out->path, sizeof out->path, "/dev/dm-%u", out->minor); /* fits */
    return true;
}

FALLIBLE dm_device_make(const char *name, const char *target, uint64_t sectors, const struct secret *table,
                        struct dm_device *out, struct err *err)
{
    AUTO(fd) int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

    if (control < 0)
        return err_os(err, "device mapper");
    if (table->len > DM_TABLE_MAX)
        return fail_with(err, ERR_LIMIT, "device mapper: a table of %zu bytes", table->len);
    return make(control, name, target, sectors, table, out, err);
}

FALLIBLE dm_device_remove(const char *name, struct err *err)
{
    AUTO(fd) int   control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    struct message m       = message_for(name);

    return control < 0 ? err_os(err, "device mapper") : call(control, DM_DEV_REMOVE, &m, "remove", err);
}

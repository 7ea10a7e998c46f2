#include "guest/api/shelf.h"

#include <string.h>

/* A head and a row for each slot, 64 bytes each. Bytes 510 and 511 are zero: no partition table is looked for. */
enum { ROW_LEN = 64, NAME_ROOM = 24, LEN_ROOM = 8, RESERVED = ROW_LEN - NAME_ROOM - LEN_ROOM };
_Static_assert(SHELF_DIRECTORY_LEN >= ROW_LEN * (SHELF_SLOTS + 1), "the directory holds all rows");

static const char magic[8] = "CLSHELF1";

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789-"

void shelf_directory_write(const struct shelf_directory *directory, uint8_t out[static SHELF_DIRECTORY_LEN])
{
    struct writer w = writer_over(out, SHELF_DIRECTORY_LEN);

    put(&w, BYTES_OF(magic));
    put_zeros(&w, ROW_LEN - sizeof magic);
    for (size_t i = 0; i < SHELF_SLOTS; i++) {
        struct bytes name = bytes_of_text(directory->rows[i].name);

        put(&w, name);
        put_zeros(&w, NAME_ROOM - name.len);
        put_u64le(&w, directory->rows[i].len);
        put_zeros(&w, RESERVED);
    }
    put_zeros(&w, SHELF_DIRECTORY_LEN - w.len);
}

static FALLIBLE read_row(struct reader *r, struct shelf_row *out, struct err *err)
{
    struct bytes room     = take(r, NAME_ROOM);
    uint64_t     len      = take_u64le(r);
    struct bytes reserved = take(r, RESERVED);

    if (!reader_ok(r, err))
        return false;
    size_t name_len = strnlen((const char *) room.at, NAME_ROOM);
    if (name_len > SHELF_NAME_MAX || !bytes_are_zero((struct bytes){ room.at + name_len, NAME_ROOM - name_len }) ||
        !bytes_are_zero(reserved))
        return fail_with(err, ERR_MALFORMED, "a row that is none");
    memcpy(out->name, room.at, name_len);
    out->name[name_len] = 0;
    out->len            = len;
    if (strspn(out->name, NAME_LETTERS) != name_len)
        return fail_with(err, ERR_MALFORMED, "a name of other letters");
    if ((name_len > 0) != (len > 0) || len % SHELF_SECTOR != 0 || len > SHELF_SLOT_LEN)
        return fail_with(err, ERR_MALFORMED, "a disk of %llu bytes", (unsigned long long) len);
    return true;
}

static FALLIBLE read_all(struct bytes block, struct shelf_directory *d, struct err *err)
{
    struct reader r    = reader_over(block);
    struct bytes  head = take(&r, ROW_LEN);

    if (!reader_ok(&r, err))
        return false;
    if (memcmp(head.at, magic, sizeof magic) != 0 ||
        !bytes_are_zero((struct bytes){ head.at + sizeof magic, ROW_LEN - sizeof magic }))
        return fail_with(err, ERR_MALFORMED, "no shelf");
    for (size_t i = 0; i < SHELF_SLOTS; i++) {
        if (!read_row(&r, &d->rows[i], err))
            return false;
        if (*d->rows[i].name && shelf_find(d, d->rows[i].name) != i)
            return fail_with(err, ERR_MALFORMED, "two disks %s", d->rows[i].name);
    }
    struct bytes rest = take(&r, SHELF_DIRECTORY_LEN - ROW_LEN * (SHELF_SLOTS + 1));
    if (!reader_done(&r, err))
        return false;
    return bytes_are_zero(rest) || fail_with(err, ERR_MALFORMED, "something behind the rows");
}

FALLIBLE shelf_directory_read(struct bytes block, struct shelf_directory *out, struct err *err)
{
    struct shelf_directory d = { 0 };

    if (!read_all(block, &d, err))
        return context(err, "shelf");
    *out = d;
    return true;
}

size_t shelf_find(const struct shelf_directory *directory, const char *name)
{
    size_t i = 0;

    while (i < SHELF_SLOTS && strcmp(directory->rows[i].name, name) != 0)
        i++;
    return i;
}

/*
 * Records every write that SQLite makes, and gives back what a disk would hold after a crash at any of them: all writes
 * so far when a process dies, and after a power cut only those that were synced, with any of the later sectors.
 */
#pragma once

#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tests/harness/test.h"

enum { WRITE_LOG_FILES = 3, WRITE_LOG_SECTOR = 512 };
static const char *const WRITE_LOG_SUFFIXES[WRITE_LOG_FILES] = { "", "-wal", "-journal" };

enum write_kind { WRITE_CREATE, WRITE_BYTES, WRITE_LENGTH, WRITE_SYNC, WRITE_DELETE, WRITE_MARK };

struct write_event {
    enum write_kind kind;
    int             file; /* index into WRITE_LOG_SUFFIXES; of a mark its number */
    uint64_t        at;   /* offset, or the new length */
    struct buffer   bytes;
};

struct write_log {
    struct write_event *events;
    size_t              n, room;
};

static struct write_log write_log; /* SQLite's interface has no place for an owner */

static inline struct write_event *write_log_add(enum write_kind kind, int file, uint64_t at)
{
    if (write_log.n == write_log.room) {
        write_log.room   = write_log.room ? 2 * write_log.room : 1024;
        write_log.events = realloc(write_log.events, write_log.room * sizeof *write_log.events);
        if (!write_log.events)
            abort();
    }
    write_log.events[write_log.n] = (struct write_event){ .kind = kind, .file = file, .at = at };
    return &write_log.events[write_log.n++];
}

/* Something that the caller wants to find again between the writes. */
static inline void write_log_mark(int number) { (void) write_log_add(WRITE_MARK, number, 0); }

static inline void write_log_free(void)
{
    for (size_t i = 0; i < write_log.n; i++)
        buffer_free(&write_log.events[i].bytes);
    free(write_log.events);
    write_log = (struct write_log){ 0 };
}

/* ---- recording: a VFS around SQLite's own ---- */

struct recorded {
    sqlite3_file  base;
    int           file; /* -1: not recorded (SQLite's temporary files) */
    sqlite3_file *real; /* behind this struct */
};

static sqlite3_vfs *recorder_real;

static inline struct recorded *recorded_of(sqlite3_file *f) { return (struct recorded *) (void *) f; }
static inline sqlite3_file    *real_of(sqlite3_file *f) { return recorded_of(f)->real; }
static inline const sqlite3_io_methods *methods_of(sqlite3_file *f) { return real_of(f)->pMethods; }

static inline int recorder_close(sqlite3_file *f) { return methods_of(f)->xClose(real_of(f)); }
static inline int recorder_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) { return methods_of(f)->xRead(real_of(f), to, n, at); }
static inline int recorder_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
    if (recorded_of(f)->file >= 0)
        buffer_append(&write_log_add(WRITE_BYTES, recorded_of(f)->file, (uint64_t) at)->bytes,
                      (struct bytes){ from, (size_t) n });
    return methods_of(f)->xWrite(real_of(f), from, n, at);
}
static inline int recorder_truncate(sqlite3_file *f, sqlite3_int64 len)
{
    if (recorded_of(f)->file >= 0)
        (void) write_log_add(WRITE_LENGTH, recorded_of(f)->file, (uint64_t) len);
    return methods_of(f)->xTruncate(real_of(f), len);
}
static inline int recorder_sync(sqlite3_file *f, int flags)
{
    int code = methods_of(f)->xSync(real_of(f), flags);

    if (recorded_of(f)->file >= 0)
        (void) write_log_add(WRITE_SYNC, recorded_of(f)->file, 0);
    return code;
}
static inline int recorder_size(sqlite3_file *f, sqlite3_int64 *out) { return methods_of(f)->xFileSize(real_of(f), out); }
static inline int recorder_lock(sqlite3_file *f, int level) { return methods_of(f)->xLock(real_of(f), level); }
static inline int recorder_unlock(sqlite3_file *f, int level) { return methods_of(f)->xUnlock(real_of(f), level); }
static inline int recorder_reserved(sqlite3_file *f, int *out) { return methods_of(f)->xCheckReservedLock(real_of(f), out); }
static inline int recorder_control(sqlite3_file *f, int op, void *arg) { return methods_of(f)->xFileControl(real_of(f), op, arg); }
static inline int recorder_sector(sqlite3_file *f) { return methods_of(f)->xSectorSize(real_of(f)); }
static inline int recorder_traits(sqlite3_file *f) { return methods_of(f)->xDeviceCharacteristics(real_of(f)); }
static inline int recorder_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return methods_of(f)->xShmMap(real_of(f), page, size, extend, out);
}
static inline int  recorder_shm_lock(sqlite3_file *f, int at, int n, int flags) { return methods_of(f)->xShmLock(real_of(f), at, n, flags); }
static inline void recorder_shm_barrier(sqlite3_file *f) { methods_of(f)->xShmBarrier(real_of(f)); }
static inline int  recorder_shm_unmap(sqlite3_file *f, int is_deleted) { return methods_of(f)->xShmUnmap(real_of(f), is_deleted); }

static const sqlite3_io_methods RECORDER_METHODS = {
    .iVersion = 2, .xClose = recorder_close, .xRead = recorder_read, .xWrite = recorder_write,
    .xTruncate = recorder_truncate, .xSync = recorder_sync, .xFileSize = recorder_size, .xLock = recorder_lock,
    .xUnlock = recorder_unlock, .xCheckReservedLock = recorder_reserved, .xFileControl = recorder_control,
    .xSectorSize = recorder_sector, .xDeviceCharacteristics = recorder_traits, .xShmMap = recorder_shm_map,
    .xShmLock = recorder_shm_lock, .xShmBarrier = recorder_shm_barrier, .xShmUnmap = recorder_shm_unmap,
};

static inline int recorder_file_of(const char *name)
{
    size_t len = name ? strlen(name) : 0;

    for (int i = WRITE_LOG_FILES - 1; i > 0; i--) {
        size_t suffix = strlen(WRITE_LOG_SUFFIXES[i]);

        if (len > suffix && strcmp(name + len - suffix, WRITE_LOG_SUFFIXES[i]) == 0)
            return i;
    }
    return name ? 0 : -1;
}

static inline int recorder_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct recorded *r = recorded_of(f);
    int              code;

    (void) vfs;
    r->real = (sqlite3_file *) (void *) (r + 1);
    r->file = recorder_file_of(name);
    code    = recorder_real->xOpen(recorder_real, name, r->real, flags, out_flags);
    r->base.pMethods = r->real->pMethods ? &RECORDER_METHODS : NULL;
    if (code == SQLITE_OK && r->file >= 0)
        (void) write_log_add(WRITE_CREATE, r->file, 0);
    return code;
}

static inline int recorder_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    int code = recorder_real->xDelete(recorder_real, name, sync);

    (void) vfs;
    if (code == SQLITE_OK)
        (void) write_log_add(WRITE_DELETE, recorder_file_of(name), 0);
    return code;
}

/* From now on every database that this process opens is recorded, until recorder_end. */
static inline sqlite3_vfs *recorder_begin(void)
{
    static sqlite3_vfs recorder;

    recorder_real     = sqlite3_vfs_find(NULL);
    recorder          = *recorder_real;
    recorder.zName    = "recorder";
    recorder.pNext    = NULL;
    recorder.szOsFile = (int) sizeof(struct recorded) + recorder_real->szOsFile;
    recorder.xOpen    = recorder_open;
    recorder.xDelete  = recorder_delete;
    assert_int_equal(sqlite3_vfs_register(&recorder, 1), SQLITE_OK);
    return &recorder;
}

static inline void recorder_end(sqlite3_vfs *recorder) { assert_int_equal(sqlite3_vfs_unregister(recorder), SQLITE_OK); }

/* ---- replay ---- */

struct image {
    bool          exists;
    struct buffer bytes;
};

/* What is on the disk for certain, and what may be. */
struct disk {
    struct image durable[WRITE_LOG_FILES];
    size_t       since[WRITE_LOG_FILES]; /* the first event after the last sync of each file */
};

static inline void disk_free(struct disk *d)
{
    for (int i = 0; i < WRITE_LOG_FILES; i++)
        buffer_free(&d->durable[i].bytes);
}

static inline void image_length(struct image *image, uint64_t len)
{
    if (len > image->bytes.len)
        (void) buffer_grow(&image->bytes, (size_t) (len - image->bytes.len));
    image->bytes.len = (size_t) len;
}

static inline void image_write(struct image *image, uint64_t at, struct bytes bytes)
{
    if (at + bytes.len > image->bytes.len)
        image_length(image, at + bytes.len);
    if (bytes.len > 0)
        memcpy(image->bytes.at + at, bytes.at, bytes.len);
}

static inline uint32_t write_log_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* `seed` NULL: the whole event. Otherwise each of its sectors, or none: as chance has it. */
static inline void image_apply(struct image *image, const struct write_event *e, uint32_t *seed)
{
    if (e->kind == WRITE_LENGTH && (!seed || write_log_random(seed) & 1))
        image_length(image, e->at);
    if (e->kind != WRITE_BYTES)
        return;
    for (size_t done = 0; done < e->bytes.len;) {
        size_t left = WRITE_LOG_SECTOR - (size_t) ((e->at + done) % WRITE_LOG_SECTOR);
        size_t n    = e->bytes.len - done < left ? e->bytes.len - done : left;

        if (!seed || write_log_random(seed) & 1)
            image_write(image, e->at + done, (struct bytes){ e->bytes.at + done, n });
        done += n;
    }
}

/* Takes event `i` as having happened. */
static inline void disk_advance(struct disk *d, size_t i)
{
    const struct write_event *e = &write_log.events[i];

    if (e->kind == WRITE_CREATE)
        d->durable[e->file].exists = true;
    if (e->kind == WRITE_DELETE) {
        d->durable[e->file].exists    = false;
        d->durable[e->file].bytes.len = 0;
        d->since[e->file]             = i + 1;
    }
    if (e->kind != WRITE_SYNC)
        return;
    for (size_t k = d->since[e->file]; k < i; k++) {
        if (write_log.events[k].file == e->file)
            image_apply(&d->durable[e->file], &write_log.events[k], NULL);
    }
    d->since[e->file] = i + 1;
}

/* Writes the files as they may be after a crash before event `end`; see image_apply for `seed`. */
static inline void disk_write(const struct disk *d, size_t end, uint32_t *seed, const char *path)
{
    for (int f = 0; f < WRITE_LOG_FILES; f++) {
        struct image image = { .exists = d->durable[f].exists };
        char         file[PATH_MAX];
        FILE        *to;

        (void) snprintf(file, sizeof file, "%s%s", path, WRITE_LOG_SUFFIXES[f]); /* a cut path fails to open */
        (void) unlink(file);                                                     /* there may be none */
        if (!image.exists)
            continue;
        buffer_append(&image.bytes, buffer_bytes(&d->durable[f].bytes));
        for (size_t k = d->since[f]; k < end; k++) {
            if (write_log.events[k].kind != WRITE_MARK && write_log.events[k].file == f)
                image_apply(&image, &write_log.events[k], seed);
        }
        to = fopen(file, "we");
        assert_non_null(to);
        assert_int_equal(fwrite(image.bytes.at, 1, image.bytes.len, to), image.bytes.len);
        assert_int_equal(fclose(to), 0);
        buffer_free(&image.bytes);
    }
}

#include "tests/harness/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/ossl.h"
#include "base/process.h"
#include "guest/volume/luks2_key.h"

enum { COPY = 16 << 10, SEGMENT = 4 << 20, DISK = 8 << 20 };

struct made {
    char               *folder;
    char                path[512], key_path[512];
    int                 fd;
    struct secret       key, passphrase;
    struct luks2_header header;
};

static void make(struct made *m)
{
    static const uint8_t       salts[2][64] = { { 1 }, { 2 } };
    AUTO(buffer) struct buffer area = { 0 }, head = { 0 };
    struct err                 err;

    *m = (struct made){ .header = { .uuid = "5c1f6b0e-3d7a-4a51-9a43-0f5f6f0e7b11", .sequence = 1, .copy_len = COPY,
                                    .segment_offset = SEGMENT, .sector_len = 4096 } };
    assert_true(directory_make_temporary("luks2", &m->folder, &err));
    (void) snprintf(m->path, sizeof m->path, "%s/disk", m->folder);
    (void) snprintf(m->key_path, sizeof m->key_path, "%s/key", m->folder);
    m->fd = open(m->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(m->fd >= 0 && ftruncate(m->fd, DISK) == 0);
    assert_true(secret_random(LUKS2_KEY_LEN, &m->key, &err) && secret_random(32, &m->passphrase, &err));
    assert_true(luks2_key_store(&m->header, &m->key, &m->passphrase, &area, &err));
    for (size_t i = 0; i < 2; i++)
        assert_true(luks2_header_write(&m->header, i == 1, salts[i], &head, &err));
    assert_int_equal(pwrite(m->fd, head.at, head.len, 0), (ssize_t) head.len);
    assert_int_equal(pwrite(m->fd, area.at, area.len, 2 * COPY), (ssize_t) area.len);
    assert_true(file_write(m->key_path, secret_expose(&m->passphrase), 0600, &err));
}

static void end(struct made *m)
{
    struct err err;

    auto_fd(&m->fd);
    secret_free(&m->key);
    secret_free(&m->passphrase);
    assert_true(directory_remove(m->folder, &err));
    free(m->folder);
}

static void the_key_comes_out_as_it_went_in(void **state)
{
    AUTO(secret) struct secret found = { 0 };
    struct made                m;
    struct err                 err;

    (void) state;
    make(&m);
    assert_true(luks2_key_open(m.fd, &m.header, &m.passphrase, &found, &err));
    assert_true(secret_equal(&found, &m.key));
    end(&m);
}

static void another_passphrase_opens_nothing(void **state)
{
    AUTO(secret) struct secret found = { 0 }, other = { 0 };
    struct made                m;
    struct err                 err;

    (void) state;
    make(&m);
    assert_true(secret_random(32, &other, &err));
    assert_false(luks2_key_open(m.fd, &m.header, &other, &found, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "the key opens none of 1 keyslots");
    assert_null(found.held);
    end(&m);
}

static void one_flipped_bit_of_the_area_is_another_key(void **state)
{
    static const off_t         places[] = { 2 * COPY, 2 * COPY + 200000, 2 * COPY + LUKS2_KEY_LEN * LUKS2_STRIPES - 1 };
    AUTO(secret) struct secret found = { 0 };
    struct made                m;
    uint8_t                    byte;
    struct err                 err;

    (void) state;
    make(&m);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        assert_int_equal(pread(m.fd, &byte, 1, places[i]), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(m.fd, &byte, 1, places[i]), 1);
        assert_false(luks2_key_open(m.fd, &m.header, &m.passphrase, &found, &err));
        assert_int_equal(err.kind, ERR_UNTRUSTED);
        byte ^= 0x10;
        assert_int_equal(pwrite(m.fd, &byte, 1, places[i]), 1);
    }
    assert_int_equal(ftruncate(m.fd, 2 * COPY + 4096), 0);
    assert_false(luks2_key_open(m.fd, &m.header, &m.passphrase, &found, &err));
    assert_string_equal(err.text, "keyslot 0 is cut short");
    end(&m);
}

static int cryptsetup(const struct made *m, const char *const *argv, struct buffer *said)
{
    int        exit_code = -1;
    struct err err;

    (void) m;
    assert_true(process_run(argv, (struct bytes){ 0 }, 1 << 16, 300000, said, &exit_code, &err));
    return exit_code;
}

static void cryptsetup_reads_the_header_and_takes_the_key(void **state)
{
    AUTO(buffer) struct buffer dump = { 0 }, said = { 0 };
    struct made                m;
    struct err                 err;

    (void) state;
    make(&m);
    assert_int_equal(cryptsetup(&m, (const char *const[]){ "/sbin/cryptsetup", "luksDump", m.path, NULL }, &dump), 0);
    assert_non_null(strstr(buffer_text(&dump), "integrity: hmac(sha256)"));
    assert_non_null(strstr(buffer_text(&dump), "cipher: aes-xts-plain64"));
    assert_non_null(strstr(buffer_text(&dump), m.header.uuid));
    const char *const open[] = { "/sbin/cryptsetup", "open", "--test-passphrase", "--type", "luks2", "--key-file", m.key_path, m.path, NULL };
    assert_int_equal(cryptsetup(&m, open, &said), 0);
    assert_true(file_write(m.key_path, bytes_of_text("another"), 0600, &err));
    assert_int_equal(cryptsetup(&m, open, &said), 2);
    end(&m);
}

/* A second keyslot by cryptsetup, which rewrites both copies of the header. */
static void what_cryptsetup_changed_is_read_and_opens(void **state)
{
    AUTO(buffer) struct buffer said = { 0 }, start = { 0 };
    AUTO(secret) struct secret second = { 0 }, found = { 0 };
    struct luks2_header        header = { 0 };
    char                       new_path[520];
    struct made                m;
    struct err                 err;

    (void) state;
    make(&m);
    (void) snprintf(new_path, sizeof new_path, "%s/new", m.folder);
    assert_true(secret_random(40, &second, &err) && file_write(new_path, secret_expose(&second), 0600, &err));
    const char *const add[] = { "/sbin/cryptsetup", "luksAddKey", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1500", "--hash", "sha512",
                                "--key-file", m.key_path, m.path, new_path, NULL };
    assert_int_equal(cryptsetup(&m, add, &said), 0);
    assert_int_equal(pread(m.fd, buffer_grow(&start, 2 * LUKS2_HEADER_MAX), 2 * LUKS2_HEADER_MAX, 0), 2 * LUKS2_HEADER_MAX);
    if (!luks2_header_read(buffer_bytes(&start), DISK, &header, &err))
        fail_msg("%s", err.text);
    assert_int_equal(header.n_keyslots, 2);
    assert_true(header.sequence > 1);
    assert_true(luks2_key_open(m.fd, &header, &second, &found, &err));
    assert_true(secret_equal(&found, &m.key));
    end(&m);
}

static void a_keyslot_of_argon2_is_passed_over_and_named(void **state)
{
    AUTO(buffer) struct buffer said = { 0 }, start = { 0 };
    AUTO(secret) struct secret other = { 0 }, found = { 0 };
    struct luks2_header        header = { 0 };
    char                       new_path[520];
    struct made                m;
    struct err                 err;

    (void) state;
    make(&m);
    (void) snprintf(new_path, sizeof new_path, "%s/new", m.folder);
    assert_true(secret_random(32, &other, &err) && file_write(new_path, secret_expose(&other), 0600, &err));
    const char *const add[] = { "/sbin/cryptsetup", "luksAddKey", "--batch-mode", "--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "32",
                                "--key-file", m.key_path, m.path, new_path, NULL };
    assert_int_equal(cryptsetup(&m, add, &said), 0);
    assert_int_equal(pread(m.fd, buffer_grow(&start, 2 * LUKS2_HEADER_MAX), 2 * LUKS2_HEADER_MAX, 0), 2 * LUKS2_HEADER_MAX);
    assert_true(luks2_header_read(buffer_bytes(&start), DISK, &header, &err));
    assert_int_equal(header.n_keyslots, 1);
    assert_int_equal(header.n_unusable, 1);
    assert_false(luks2_key_open(m.fd, &header, &other, &found, &err));
    assert_string_equal(err.text, "the key opens none of 1 keyslots; others are not of PBKDF2");
    end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_comes_out_as_it_went_in),
        cmocka_unit_test(another_passphrase_opens_nothing),
        cmocka_unit_test(one_flipped_bit_of_the_area_is_another_key),
        cmocka_unit_test(cryptsetup_reads_the_header_and_takes_the_key),
        cmocka_unit_test(what_cryptsetup_changed_is_read_and_opens),
        cmocka_unit_test(a_keyslot_of_argon2_is_passed_over_and_named),
    };
    struct err err;

    if (!secret_heap_open(&err))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

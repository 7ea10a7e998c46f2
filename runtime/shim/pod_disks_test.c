#include "tests/harness/test.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/file.h"
#include "base/ossl.h"
#include "base/text.h"
#include "keys/api/initdata.h"
#include "runtime/shim/disk_needs.h"
#include "runtime/shim/pod_disks.h"

struct lent { char names[256]; bool refuses; };

static bool lend(void *owner, const char *name, int fd, struct err *err)
{
    struct lent *l   = owner;
    size_t       len = strlen(l->names);

    assert_true(fd >= 0);
    if (l->refuses)
        return fail_with(err, ERR_LIMIT, "full");
    (void) snprintf(l->names + len, sizeof l->names - len, "%s ", name);
    return true;
}

static char *folder_with(const char *name, size_t len)
{
    char      *folder, path[512];
    struct err err;

    assert_true(directory_make_temporary("cloister-test-", &folder, &err));
    (void) snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(ftruncate(fd, (off_t) len), 0);
    (void) close(fd);
    return folder;
}

static void remove_folder(char *folder)
{
    struct err err;

    assert_true(directory_remove(folder, &err));
    free(folder);
}

static void a_folder_with_our_file_is_a_volume_and_is_lent_once(void **state)
{
    char                  *folder = folder_with(VOLUME_FILE, 4096), *plain = folder_with("other", 4096);
    struct spec_mount      mounts[] = { { plain, "/etc/config", false }, { folder, "/var/lib/data", false } };
    struct container_spec  spec     = { .mounts = mounts, .n_mounts = 2 };
    struct lent            lent     = { "", false };
    struct lender          lender   = { lend, &lent };
    struct pod_disks       disks    = { .n_volumes = 0 };
    struct container_disks out;
    struct err             err;

    (void) state;
    for (int i = 0; i < 2; i++) {
        assert_true(pod_disks_lend_volumes(&disks, &spec, &lender, &out, &err));
        assert_int_equal(out.n, 1);
        assert_string_equal(out.at[0]->path, "/var/lib/data");
        assert_string_equal(out.at[0]->volume, "data");
    }
    assert_string_equal(lent.names, "vol-data ");
    assert_true(pod_disks_is_volume(&mounts[1]) && !pod_disks_is_volume(&mounts[0]));
    remove_folder(folder);
    remove_folder(plain);
}

static void what_cannot_be_a_volume_is_refused_by_its_reason(void **state)
{
    static const struct { const char *target, *why; } bad[] = {
        { "/var/lib/Data", "config: volume at /var/lib/Data: the last part of its path is its name: at most 16 of a-z, 0-9 and, not first, -" },
        { "/var/lib/data/", "config: volume at /var/lib/data/: the last part of its path is its name: at most 16 of a-z, 0-9 and, not first, -" },
        { "/x/seventeen-letters", "config: volume at /x/seventeen-letters: the last part of its path is its name: at most 16 of a-z, 0-9 and, not first, -" },
        { "/other/data", "config: volume at /other/data: two volumes of the pod have the name data" },
        { "/held", "config: volume at /held: it is in use by another pod" },
    };
    char                  *first = folder_with(VOLUME_FILE, 4096), *second = folder_with(VOLUME_FILE, 4096), path[512];
    struct spec_mount      mounts[] = { { first, "/var/lib/data", false }, { second, "", false } };
    struct container_spec  spec     = { .mounts = mounts, .n_mounts = 2 };
    struct lent            lent     = { "", false };
    struct lender          lender   = { lend, &lent };
    struct container_disks out;
    struct err             err;

    (void) state;
    (void) snprintf(path, sizeof path, "%s/" VOLUME_FILE, second);
    int held = open(path, O_RDWR);
    assert_int_equal(flock(held, LOCK_EX), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pod_disks disks = { .n_volumes = 0 };

        mounts[1].target = bad[i].target;
        assert_false(pod_disks_lend_volumes(&disks, &spec, &lender, &out, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_string_equal(err.text, bad[i].why);
    }
    (void) close(held);
    lent.refuses     = true;
    spec.n_mounts    = 1;
    struct pod_disks disks = { .n_volumes = 0 };
    assert_false(pod_disks_lend_volumes(&disks, &spec, &lender, &out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    remove_folder(first);
    remove_folder(second);
}

static void a_link_is_no_volume(void **state)
{
    char             *folder = folder_with("real", 4096), path[512];
    struct spec_mount mount  = { folder, "/data", false };

    (void) state;
    (void) snprintf(path, sizeof path, "%s/" VOLUME_FILE, folder);
    assert_int_equal(symlink("real", path), 0);
    assert_false(pod_disks_is_volume(&mount));
    remove_folder(folder);
}

static void a_device_that_is_not_there_is_refused(void **state)
{
    struct spec_device     device = { "/data", 4095, 77, false };
    struct container_spec  spec   = { .devices = &device, .n_devices = 1 };
    struct lent            lent   = { "", false };
    struct lender          lender = { lend, &lent };
    struct pod_disks       disks  = { .n_volumes = 0 };
    struct container_disks out;
    struct err             err;

    (void) state;
    assert_false(pod_disks_lend_volumes(&disks, &spec, &lender, &out, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_string_equal(lent.names, "");
}

/* ---- whether a VM needs room for them ---- */

static bool may_want(const char *policy, const char *store)
{
    struct initdata_entry      entry = { "policy.json", policy };
    AUTO(buffer) struct buffer text  = { 0 };

    initdata_write(INITDATA_SHA256, &entry, policy ? 1 : 0, &text);
    return pod_may_want_disks(buffer_bytes(&text), (const char *const[IMAGE_STORES]){ store });
}

static void a_pod_without_disks_is_known_by_its_policy(void **state)
{
    static const char manifest[] = "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":"
                                   "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\",\"size\":1},\"layers\":[{\"mediaType\":\"%s\","
                                   "\"digest\":\"sha256:1111111111111111111111111111111111111111111111111111111111111111\",\"size\":4096}]}";
    AUTO(buffer) struct buffer path = { 0 }, text = { 0 }, policy = { 0 };
    char                      *store;
    struct err                 err;

    (void) state;
    assert_true(directory_make_temporary("cloister-test-", &store, &err));
    for (int is_mounted = 0; is_mounted < 2; is_mounted++) {
        uint8_t digest[SHA256_LEN];

        path.len = text.len = policy.len = 0;
        buffer_printf(&path, "%s/blobs/sha256", store);
        assert_true(directory_make(buffer_text(&path), &err));
        buffer_printf(&text, manifest, is_mounted ? "application/vnd.oci.image.layer.v1.cloister.erofs" : "application/vnd.oci.image.layer.v1.tar+gzip");
        sha256_of(buffer_bytes(&text), digest);
        buffer_append_text(&path, "/");
        hex_append(&path, BYTES_OF(digest));
        assert_true(file_write(buffer_text(&path), buffer_bytes(&text), 0644, &err));
        buffer_append_text(&policy, "{\"containers\":[{\"image\":\"sha256:");
        hex_append(&policy, BYTES_OF(digest));
        buffer_append_text(&policy, "\"}]}");
        assert_int_equal(may_want(buffer_text(&policy), store), is_mounted);
        assert_true(may_want(buffer_text(&policy), NULL)); /* not known here */
    }
    assert_false(may_want("{\"containers\":[]}", store));
    assert_true(may_want("{\"containers\":[{\"volumes\":[{}]}]}", store));
    assert_true(may_want("{\"containers\":[{\"volumes\":7}]}", store));
    assert_true(may_want("{\"containers\":[{}]}", store));
    assert_true(may_want("{\"containers\":[7]}", store));
    assert_true(may_want("{\"containers\":[{\"image\":7}]}", store));
    assert_true(may_want("{}", store));
    assert_true(may_want("{", store));
    assert_true(may_want(NULL, store));
    assert_true(pod_may_want_disks(bytes_of_text("no TOML"), (const char *const[IMAGE_STORES]){ store }));
    remove_folder(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_with_our_file_is_a_volume_and_is_lent_once),
        cmocka_unit_test(what_cannot_be_a_volume_is_refused_by_its_reason),
        cmocka_unit_test(a_link_is_no_volume),
        cmocka_unit_test(a_device_that_is_not_there_is_refused),
        cmocka_unit_test(a_pod_without_disks_is_known_by_its_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/harness/test.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "runtime/shim/pod_files.h"

#define NO_FILE "/nonexistent/resolv.conf"

static void assert_file(const struct host_volumes *v, size_t i, const char *path, const char *content)
{
    assert_true(i < v->n_files);
    assert_string_equal(v->files_at[i]->path, path);
    assert_int_equal(v->files_at[i]->mode, 0644);
    assert_int_equal(v->files_at[i]->content.len, strlen(content));
    assert_memory_equal(v->files_at[i]->content.data, content, strlen(content));
}

static void dns_and_host_name_become_files(void **state)
{
    char                             name[] = "web", one[] = "10.0.0.10", two[] = "fd00::a", a[] = "default.svc", b[] = "svc", n[] = "ndots:5";
    char                            *servers[] = { one, two }, *searches[] = { a, b }, *options[] = { n };
    Engine__DNSConfig                dns    = ENGINE__DNSCONFIG__INIT;
    Engine__PodConfig                config = ENGINE__POD_CONFIG__INIT;
    AUTO(pod_files) struct pod_files files  = { 0 };
    struct host_volumes              volumes = { .n_files = 0 };
    struct container_spec            spec = { 0 };
    struct err                       err;

    (void) state;
    dns.servers       = servers;
    dns.n_servers     = 2;
    dns.searches      = searches;
    dns.n_searches    = 2;
    dns.options       = options;
    dns.n_options     = 1;
    config.hostname   = name;
    config.dns_config = &dns;
    assert_true(pod_files_make(&config, NO_FILE, &files, &err));
    assert_true(pod_files_add(&files, &spec, &volumes, &err));
    assert_int_equal(volumes.n_files, 3);
    assert_file(&volumes, 0, "/etc/hostname", "web\n");
    assert_file(&volumes, 1, "/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    assert_file(&volumes, 2, "/etc/resolv.conf", "search default.svc svc\nnameserver 10.0.0.10\nnameserver fd00::a\noptions ndots:5\n");
    host_volumes_free(&volumes);
}

static void what_the_container_mounts_is_not_made(void **state)
{
    Engine__PodConfig                config  = ENGINE__POD_CONFIG__INIT;
    struct spec_mount                hosts   = { "/somewhere/hosts", "/etc/hosts" };
    struct container_spec            spec    = { .mounts = &hosts, .n_mounts = 1 };
    AUTO(pod_files) struct pod_files files   = { 0 };
    struct host_volumes              volumes = { .n_files = 0 };
    struct err                       err;

    (void) state;
    assert_true(pod_files_make(&config, NO_FILE, &files, &err)); /* no host name, no DNS, and the node has none */
    assert_true(pod_files_add(&files, &spec, &volumes, &err));
    assert_int_equal(volumes.n_files, 0);
}

static void without_dns_the_nodes_own_is_given(void **state)
{
    Engine__PodConfig                config  = ENGINE__POD_CONFIG__INIT;
    struct container_spec            spec    = { 0 };
    AUTO(pod_files) struct pod_files files   = { 0 };
    struct host_volumes              volumes = { .n_files = 0 };
    AUTO(text) char                 *folder  = NULL, *path = NULL;
    struct err                       err;

    (void) state;
    assert_true(directory_make_temporary("pod-files", &folder, &err));
    assert_true(asprintf(&path, "%s/resolv.conf", folder) > 0);
    assert_true(file_write(path, bytes_of_text("nameserver 192.0.2.1\n"), 0644, &err));
    assert_true(pod_files_make(&config, path, &files, &err));
    assert_true(pod_files_add(&files, &spec, &volumes, &err));
    assert_int_equal(volumes.n_files, 2);
    assert_file(&volumes, 1, "/etc/resolv.conf", "nameserver 192.0.2.1\n");
    host_volumes_free(&volumes);
    assert_true(directory_remove(folder, &err));
}

static void more_than_a_guest_takes_is_refused(void **state)
{
    struct pod_files      files   = { 0 };
    struct container_spec spec    = { 0 };
    struct host_volumes   volumes = { .n_files = 0, .len = VOLUME_FILES_LEN_MAX - 1 };
    struct err            err;

    (void) state;
    buffer_append_text(&files.hosts, "xx");
    assert_false(pod_files_add(&files, &spec, &volumes, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    assert_non_null(strstr(err.text, "/etc/hosts: over "));
    assert_int_equal(volumes.n_files, 0);
    pod_files_free(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dns_and_host_name_become_files),
        cmocka_unit_test(what_the_container_mounts_is_not_made),
        cmocka_unit_test(without_dns_the_nodes_own_is_given),
        cmocka_unit_test(more_than_a_guest_takes_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

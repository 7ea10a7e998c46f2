/*
 * Load on a real broker from the same machine: SNP attestations over new TLS connections, resources on kept ones, live
 * sessions, overload. CPU time stands against a floor program that does the same handshakes, socket calls and signature
 * operations, and nothing else.
 *
 *   load_bench [SECONDS [PART...]]     parts: attest resource decision overload sessions; all when none is named
 */
#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "keys/broker/load_floor.h"

enum { OVERLOAD = 10, SESSIONS = 10000 };

static struct load_world world;

static double rss_mib(pid_t pid)
{
    AUTO(buffer) struct buffer status = { 0 };
    char                       path[64];
    const char                *at;
    struct err                 err;

    (void) snprintf(path, sizeof path, "/proc/%d/status", (int) pid); /* fits */
    load_must(file_read(path, 16 << 10, &status, &err), path);
    at = strstr(buffer_text(&status), "VmRSS:");
    return at ? strtod(at + 6, NULL) / 1024 : 0;
}

static int broker_port(void) { return atoi(strrchr(world.broker.url, ':') + 1); }

static void part_attest(double seconds)
{
    struct load    load   = { .world = &world, .port = broker_port() };
    double         floor  = load_floor_measure(&world, seconds / 3), before = load_cpu_s(world.broker.process.pid), ours = load_cpu_s(getpid()), cpu;
    struct outcome o      = load_run(&load, LOAD_CLIENTS, seconds);
    double         each   = 1000 / (double) (o.done ? o.done : 1);

    cpu = (load_cpu_s(world.broker.process.pid) - before) * each;
    printf("attest:   %.0f/s over %.0f s on new connections, %llu errors, p50 %.1f ms, p99 %.1f ms (goal: 300/s, 0, 50 ms)\n",
           o.per_second, o.seconds, (unsigned long long) (o.failed + o.shed), o.p50, o.p99);
    printf("attest:   %.2f ms CPU each, %.2f times the floor (goal: 1.30); the clients take %.2f ms each\n", cpu, cpu / floor,
           (load_cpu_s(getpid()) - ours) * each);
}

/* On kept connections: secrets, each sealed for its guest, or refusals, which cost their decision and its durable entry. */
static void part_kept(double seconds, const char *what, const char *path, int status, const char *goal)
{
    struct load    load   = { .world = &world, .port = broker_port(), .keeps_connection = true, .path = path, .status = status };
    double         before = load_cpu_s(world.broker.process.pid), ours = load_cpu_s(getpid()), cpu;
    struct outcome o      = load_run(&load, 4 * LOAD_CLIENTS, seconds);
    double         each   = 1e6 / (double) (o.done ? o.done : 1);

    cpu  = (load_cpu_s(world.broker.process.pid) - before) * each;
    ours = (load_cpu_s(getpid()) - ours) * each;
    printf("%s %.0f/s on kept connections, each with a durable audit entry, %llu errors, p50 %.2f ms, p99 %.2f ms, %.0f us CPU"
           " each (goal: %s); the clients take %.0f us each\n", what, o.per_second, (unsigned long long) o.failed, o.p50, o.p99, cpu, goal,
           ours);
}

static void part_sessions(void)
{
    double         before = rss_mib(world.broker.process.pid);
    struct load    load   = { .world = &world, .port = broker_port(), .attestations = SESSIONS / LOAD_CLIENTS };
    struct outcome o      = load_run(&load, LOAD_CLIENTS, 0);

    printf("sessions: %llu live ones, %llu errors, %.1f MiB more memory (goal: 32 MiB)\n", (unsigned long long) o.done,
           (unsigned long long) o.failed, rss_mib(world.broker.process.pid) - before);
}

static void part_overload(double seconds)
{
    struct load    peak = { .world = &world, .port = broker_port() }, load = { .world = &world, .port = broker_port() };
    struct outcome p    = load_run(&peak, LOAD_CLIENTS, seconds), o = load_run(&load, OVERLOAD * LOAD_CLIENTS, seconds);

    printf("overload: %.0f/s with %d clients, %.0f/s with %d (%.0f %%; goal: 80 %%), %llu shed, %llu errors, p99 %.0f ms\n",
           p.per_second, LOAD_CLIENTS, o.per_second, OVERLOAD * LOAD_CLIENTS, 100 * o.per_second / p.per_second,
           (unsigned long long) o.shed, (unsigned long long) o.failed, o.p99);
}

static void value_register(struct admin_client *admin, const char *kind, const uint8_t *value, size_t len)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint64_t                   id;
    struct err                 err;

    hex_append(&hex, (struct bytes){ value, len });
    struct admin_reference reference = { .kind = kind, .tee = "snp", .value = buffer_text(&hex) };
    load_must(admin_reference_add(admin, &reference, &id, &err), "register a reference value");
}

/* From here on it sheds load as it does in production, which --dev does not. */
static void broker_sheds(void)
{
    AUTO(buffer) struct buffer more = { 0 };
    char                       path[PATH_MAX];

    test_broker_path(&world.broker, "store.db", path);
    buffer_append_text(&more, "store = ");
    toml_append_text(&more, path);
    buffer_append_text(&more, "\nshed_ms = 1000\n");
    load_must(test_broker_stop(&world.broker, SIGTERM) == 0, "stop the broker");
    world.broker.config = "sheds.toml";
    test_broker_configure(&world.broker, world.broker.config, buffer_text(&more));
    test_broker_start(&world.broker);
}

static void world_open(void)
{
    AUTO(admin_client) struct admin_client *admin = NULL;
    int                                     nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC), console = dup(2);
    struct test_guest                       good;
    char                                    ca[PATH_MAX];
    struct err                              err;

    load_must(nowhere >= 0 && console >= 0 && dup2(nowhere, 2) == 2, "put the broker's log away");
    test_broker_make(&world.broker);
    broker_sheds();
    load_must(dup2(console, 2) == 2, "get the console back");
    admin = test_admin(&world.broker);
    good  = test_guest_good(&world.broker);
    load_must(secret_random(32, &world.stored, &err) && admin_resource_put(admin, LOAD_URI, &world.stored, &err), "put a key");
    value_register(admin, "measurement", good.measurement, sizeof good.measurement);
    value_register(admin, "initdata", good.host_data, sizeof good.host_data);
    test_broker_path(&world.broker, "ca.pem", ca);
    world.client_ctx = SSL_CTX_new(TLS_client_method());
    load_must(world.client_ctx && SSL_CTX_load_verify_locations(world.client_ctx, ca, NULL) == 1, "trust the broker's CA");
    SSL_CTX_set_verify(world.client_ctx, SSL_VERIFY_PEER, NULL);
    (void) SSL_CTX_set_session_cache_mode(world.client_ctx, SSL_SESS_CACHE_OFF); /* returns the mode before */
}

static bool is_wanted(int argc, char **argv, const char *part)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], part) == 0)
            return true;
    }
    return argc < 3;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;

    (void) signal(SIGPIPE, SIG_IGN); /* SIGPIPE is a signal that can be ignored */
    (void) setvbuf(stdout, NULL, _IOLBF, 0); /* only how soon a line is seen */
    world_open();
    if (is_wanted(argc, argv, "attest"))
        part_attest(seconds);
    if (is_wanted(argc, argv, "resource"))
        part_kept(seconds, "resource:", LOAD_PATH, 200, "10000/s");
    if (is_wanted(argc, argv, "decision"))
        part_kept(seconds, "decision:", LOAD_PATH "-that-is-not-there", 404, "5000/s");
    if (is_wanted(argc, argv, "overload"))
        part_overload(seconds);
    if (is_wanted(argc, argv, "sessions"))
        part_sessions();
    SSL_CTX_free(world.client_ctx);
    secret_free(&world.stored);
    (void) test_broker_stop(&world.broker, SIGTERM); /* an orderly end: profilers write then */
    test_broker_free(&world.broker);
    return 0;
}

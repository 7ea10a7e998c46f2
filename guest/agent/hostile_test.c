#include "tests/harness/agent_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "base/ossl.h"

/*
 * A host that asks anything: every request of the contract with every field changed, in any order, doubled, cut, with
 * unknown fields, against a policy that allows one container and one argv in it. What counts is what crun was told, and
 * that a refused request left no trace. The sequence is the same each time.
 */
#define IMAGE RIG_IMAGE
#define OTHER "sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const char policy_text[] = "{\"containers\":[{\"image\":\"" IMAGE "\",\"args\":null,\"env\":[],\"output\":true,\"exec\":[[\"probe\"]]}]}";
/* Plays crun, and writes down what it was to run. */
static const char player[] =
    "#!/bin/sh\n"
    "log=\"${0%/*}/told\"\n"
    "case \" $* \" in\n"
    "*' create '*) while [ \"$1\" != --bundle ]; do shift; done\n"
    "  grep -o '\"args\":\\[\"[^]]*\\]' \"$2/config.json\" >> \"$log\"\n"
    "  while [ \"$1\" != --pid-file ]; do shift; done;;\n"
    "*' exec '*) while [ \"$1\" != --process ]; do shift; done\n"
    "  grep -o '\"args\":\\[\"[^]]*\\]' \"$2\" >> \"$log\"\n"
    "  while [ \"$1\" != --pid-file ]; do shift; done;;\n"
    "*) echo other >> \"$log\"; exit 0;;\n"
    "esac\n"
    "sleep 60 </dev/null >/dev/null 2>&1 &\n"
    "printf %s $! > \"$2\"\n";

enum { EACH_AT_LEAST = 50, REQUESTS = 50000, EPOCH = 2500, IDS = 3, POOL = 24, BLOCKS = 512, MOST_FIELDS = 24, RESPONSE_MAX = 4 << 20 };

struct rig {
    struct agent_rig         guest;
    struct loop_source       host;     /* our raw end */
    struct buffer            came;
    uint32_t                 next_stream, waits_for;
    bool                     waits_own; /* for that answer, not for the barrier's */
    int32_t                  code;     /* of the request before the barrier; -1: not answered */
    char                    *told;
    uint64_t                 random;
    unsigned                 epoch;
    char                     ids[IDS][16];
    void                    *blocks[BLOCKS]; /* of the request that is being made */
    size_t                   n_blocks;
    unsigned                 allowed[32], refused[32], mutated[32][MOST_FIELDS];
};

static uint32_t draw(struct rig *rig, uint32_t below)
{
    rig->random = rig->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t) (rig->random >> 33) % below;
}

static void *block(struct rig *rig, size_t size)
{
    assert_true(rig->n_blocks < BLOCKS);
    void *at = calloc(1, size);
    assert_non_null(at);
    return rig->blocks[rig->n_blocks++] = at;
}

/* ---- the host's side ---- */

static void take_answers(struct rig *rig)
{
    struct ttrpc_frame frame;
    size_t             used = 0, done = 0;
    struct err         err;

    for (;;) {
        struct bytes left = { rig->came.at + done, rig->came.len - done };

        if (left.len == 0)
            break;
        assert_true(ttrpc_frame_read(left, &frame, &used, &err));
        if (used == 0)
            break;
        AUTO(message) ProtobufCMessage *envelope = NULL;
        assert_true(message_read(&envelope__response__descriptor, frame.message, MESSAGE_LOOSE, &envelope, &err));
        const Envelope__Response *response = (const Envelope__Response *) envelope;
        if (frame.stream == rig->waits_for - 2)
            rig->code = response->status ? response->status->code : 0;
        if (frame.stream == rig->waits_for - (rig->waits_own ? 2 : 0))
            loop_stop(rig->guest.loop);
        done += used;
    }
    ttrpc_drop(&rig->came, done);
}

static void on_answer(struct loop_source *source, uint32_t events)
{
    struct rig *rig = source->owner;
    uint8_t     piece[64 << 10];

    if (events & EPOLLOUT)
        loop_stop(rig->guest.loop); /* for send_all */
    if (!(events & EPOLLIN))
        return;
    ssize_t n = read(source->fd, piece, sizeof piece);
    assert_true(n > 0);
    buffer_append(&rig->came, (struct bytes){ piece, (size_t) n });
    assert_true(rig->came.len < RESPONSE_MAX);
    take_answers(rig);
}

/* The other end is read by the same loop. */
static void send_all(struct rig *rig, struct bytes b)
{
    struct err err;

    while (b.len > 0) {
        ssize_t n = send(rig->host.fd, b.at, b.len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0) {
            b.at += n;
            b.len -= (size_t) n;
            continue;
        }
        assert_int_equal(errno, EAGAIN);
        assert_true(loop_change(&rig->host, EPOLLIN | EPOLLOUT, &err) && loop_run(rig->guest.loop, &err) &&
                    loop_change(&rig->host, EPOLLIN, &err));
    }
}

static void send_frame(struct rig *rig, const char *method, struct bytes payload)
{
    Envelope__Request          envelope = ENVELOPE__REQUEST__INIT;
    AUTO(buffer) struct buffer wire = { 0 }, frame = { 0 };
    char                       service[] = "cloister.agent.v1.Agent";
    uint8_t                    head[TTRPC_HEADER_LEN] = { 0 };

    envelope.service = service;
    envelope.method  = (char *) (uintptr_t) method;
    envelope.payload = (ProtobufCBinaryData){ payload.len, (uint8_t *) (uintptr_t) payload.at };
    message_append(&wire, &envelope.base);
    for (int i = 0; i < 4; i++) {
        head[i]     = (uint8_t) (wire.len >> (24 - 8 * i));
        head[4 + i] = (uint8_t) (rig->next_stream >> (24 - 8 * i));
    }
    head[8] = TTRPC_REQUEST;
    rig->next_stream += 2;
    buffer_append(&frame, BYTES_OF(head));
    buffer_append(&frame, buffer_bytes(&wire));
    send_all(rig, buffer_bytes(&frame));
}

/* Whether it was done (0), refused (its code), or waits (-1): GetStatus behind it is answered in any case. */
static int32_t ask(struct rig *rig, const char *method, struct bytes payload)
{
    struct err err;

    rig->code = -1;
    send_frame(rig, method, payload);
    rig->waits_for = rig->next_stream;
    send_frame(rig, "GetStatus", (struct bytes){ 0 });
    assert_true(loop_run(rig->guest.loop, &err));
    bool works = strcmp(method, "WaitContainer") != 0 && strcmp(method, "ReadOutput") != 0;
    if (rig->code == -1 && works) { /* crun does, and is waited for: what changes now was asked for */
        rig->waits_own = true;
        assert_true(loop_run(rig->guest.loop, &err));
        rig->waits_own = false;
    }
    return rig->code;
}

/* ---- what is asked ---- */

static char *draw_text(struct rig *rig)
{
    static const char *const pool[POOL] = { "", IMAGE, OTHER, "sleep", "60", "probe", "../x", "A=1", "/proc/1/root", "HOSTNAME=x", "\xc3\xa4",
        "e0", "e1", "sha256:", "LD_PRELOAD=/x", "-c", "sh", "%s%n", "a b", "=", "PATH=/x", "TERM=xterm", "c", "\n" };
    uint32_t which = draw(rig, POOL + IDS + 1);
    char    *text;

    if (which < IDS)
        text = rig->ids[which];
    else if (which < IDS + POOL)
        text = (char *) (uintptr_t) pool[which - IDS];
    else {
        text = block(rig, 400);
        memset(text, 'a', 300);
    }
    return text;
}

static void fill(struct rig *rig, ProtobufCMessage *message, unsigned depth);

static ProtobufCMessage *draw_message(struct rig *rig, const ProtobufCMessageDescriptor *type, unsigned depth)
{
    ProtobufCMessage *message = block(rig, type->sizeof_message);

    protobuf_c_message_init(type, message);
    if (depth < 3)
        fill(rig, message, depth);
    return message;
}

static void fill_value(struct rig *rig, const ProtobufCFieldDescriptor *field, void *at, unsigned depth)
{
    static const uint32_t numbers[] = { 0, 1, 2, 9, 15, 23, 64, 65, 80, 1 << 18, UINT32_MAX };
    uint32_t              number    = numbers[draw(rig, sizeof numbers / sizeof *numbers)];

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **) at = draw_text(rig);
        break;
    case PROTOBUF_C_TYPE_BYTES: {
        size_t len = draw(rig, 64) == 0 ? 300000 : draw(rig, 40);

        *(ProtobufCBinaryData *) at = (ProtobufCBinaryData){ len, block(rig, len + 1) };
        break;
    }
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **) at = draw_message(rig, field->descriptor, depth + 1);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        *(uint64_t *) at = draw(rig, 4) == 0 ? UINT64_MAX : number;
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *) at = draw(rig, 2) == 1;
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
        *(uint32_t *) at = number;
        break;
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        fail_msg("the contract has a type that this test does not make: %s", field->name);
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(uint64_t);
}

static void fill_field(struct rig *rig, ProtobufCMessage *message, unsigned i, unsigned depth)
{
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
    char                           *base  = (char *) message;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        fill_value(rig, field, base + field->offset, depth);
        return;
    }
    size_t n    = draw(rig, 3);
    size_t size = field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_ENUM ? sizeof(uint32_t) : size_of(field);
    char  *list = block(rig, size * (n + 1));
    for (size_t j = 0; j < n; j++)
        fill_value(rig, field, list + j * size, depth);
    *(size_t *) (void *) (base + field->quantifier_offset) = n;
    *(void **) (void *) (base + field->offset)             = list;
}

/* Each field with one chance in two. */
static void fill(struct rig *rig, ProtobufCMessage *message, unsigned depth)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        if (draw(rig, 2) == 0)
            fill_field(rig, message, i, depth);
}

/* What an honest host would say. Most requests differ from it in one field: these come closest to what is allowed. */
static void make_honest(struct rig *rig, const char *method, ProtobufCMessage *message)
{
    static char probe[] = "probe", image[] = IMAGE;
    static char e0[] = "e0";

    protobuf_c_message_init(message->descriptor, message);
    if (strcmp(method, "CreateContainer") == 0)
        ((Agent__CreateContainerRequest *) message)->image_digest = image;
    if (strcmp(method, "ExecProcess") == 0) {
        Agent__ExecProcessRequest *exec = (Agent__ExecProcessRequest *) message;

        exec->args    = block(rig, sizeof *exec->args);
        exec->args[0] = probe;
        exec->n_args  = 1;
        exec->process = e0;
    }
    if (strcmp(method, "SignalContainer") == 0)
        ((Agent__SignalContainerRequest *) message)->signal = 23; /* SIGURG: ignored by default */
    if (message->descriptor->n_fields > 0 && strcmp(message->descriptor->fields[0].name, "id") == 0)
        *(char **) (void *) ((char *) message + message->descriptor->fields[0].offset) = rig->ids[draw(rig, IDS)];
}

static void spoil(struct rig *rig, struct buffer *wire)
{
    static const uint8_t unknown[] = { 0x78 | 1, 0, 0, 0, 0, 0, 0, 0, 0 };

    switch (draw(rig, 24)) {
    case 0:
        if (wire->len > 0)
            wire->len = draw(rig, (uint32_t) wire->len);
        break;
    case 1:
        if (wire->len > 0)
            wire->at[draw(rig, (uint32_t) wire->len)] ^= (uint8_t) (1u << draw(rig, 8));
        break;
    case 2:
        buffer_append(wire, BYTES_OF(unknown));
        break;
    case 3: {
        AUTO(buffer) struct buffer twice = { 0 };

        buffer_append(&twice, buffer_bytes(wire));
        buffer_append(wire, buffer_bytes(&twice));
        break;
    }
    default:
        break;
    }
}

/* ---- what may not have changed ---- */

static void hash_folder(const char *path, struct buffer *into)
{
    AUTO(dir) DIR *folder = opendir(path);
    struct dirent *entry;
    size_t         sum = 0, n = 0;

    while (folder && (entry = readdir(folder))) {
        for (const char *c = entry->d_name; *c; c++)
            sum = sum * 31 + (unsigned char) *c;
        n++;
    }
    buffer_printf(into, "%zu/%zu;", n, sum);
}

static void state_of(struct rig *rig, uint8_t out[static SHA256_LEN])
{
    AUTO(buffer) struct buffer all = { 0 }, told = { 0 };
    struct err                 err;

    for (size_t i = 0; i < IDS; i++) {
        struct container *c = containers_find(rig->guest.service.containers, rig->ids[i]);

        if (!c)
            continue;
        buffer_printf(&all, "%s %s %d%d%d%d %llu %p;", c->id, c->image, c->grant.output, c->grant.input, c->grant.terminal, c->grant.update,
                      (unsigned long long) c->limits.memory_bytes, (const void *) c);
        for (size_t j = 0; j < CONTAINER_EXECS_MAX; j++)
            if (c->execs[j])
                buffer_printf(&all, "%s %p;", c->execs[j]->id, (const void *) c->execs[j]);
    }
    hash_folder(rig->guest.all, &all);
    buffer_printf(&all, "%zu %d;", containers_count(rig->guest.service.containers), rig->guest.service.has_network);
    if (file_read(rig->told, 1 << 20, &told, &err))
        buffer_append(&all, buffer_bytes(&told));
    buffer_append(&all, bytes_of_text(json_object_to_json_string(rig->guest.service.policy.document)));
    sha256_of(buffer_bytes(&all), out);
}

/* crun was told to run what the policy names, and nothing else, ever. */
static void check_told(struct rig *rig)
{
    AUTO(buffer) struct buffer told = { 0 };
    unsigned                   containers = 0, probes = 0;
    struct err                 err;

    assert_true(file_read(rig->told, 4 << 20, &told, &err));
    for (char *line = strtok((char *) (uintptr_t) buffer_text(&told), "\n"); line; line = strtok(NULL, "\n")) {
        bool is_container = strcmp(line, "\"args\":[\"sleep\",\"60\"]") == 0, is_probe = strcmp(line, "\"args\":[\"probe\"]") == 0;

        containers += is_container;
        probes += is_probe;
        if (!is_container && !is_probe && strcmp(line, "other") != 0)
            fail_msg("crun was told: %s", line);
    }
    assert_true(containers > 10 && probes > 10); /* and these were reached */
}

/* ---- the test ---- */

static int open_rig(void **state)
{
    static const struct ttrpc_row rows[]  = { { "Unpack", rig_serve_unpack }, { "Measure", rig_serve_measure } };
    struct rig                   *rig     = calloc(1, sizeof *rig);
    struct agent_rig_options      options = { player, policy_text, rows, sizeof rows / sizeof *rows, rig };
    struct err                    err;

    assert_non_null(rig);
    rig->random      = 20261128;
    rig->next_stream = 1;
    rig->host        = (struct loop_source){ .fd = agent_rig_open(&rig->guest, &options), .ready = on_answer, .owner = rig };
    assert_true(asprintf(&rig->told, "%s/told", rig->guest.folder) > 0);
    assert_true(loop_add(rig->guest.loop, &rig->host, EPOLLIN, &err));
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;

    loop_remove(&rig->host);
    (void) close(rig->host.fd);
    agent_rig_close(&rig->guest);
    buffer_free(&rig->came);
    free(rig->told);
    free(rig);
    return 0;
}

static void delete_one(struct rig *rig, char *id)
{
    Agent__DeleteContainerRequest request = AGENT__DELETE_CONTAINER_REQUEST__INIT;
    AUTO(buffer) struct buffer    wire    = { 0 };

    request.id = id;
    message_append(&wire, &request.base);
    while (containers_find(rig->guest.service.containers, id))
        (void) ask(rig, "DeleteContainer", buffer_bytes(&wire)); /* one that is being started is deleted later */
}

/* An id is good once: a new epoch has new ones. The containers of the old are deleted, also those with chance names. */
static void begin_epoch(struct rig *rig)
{
    AUTO(dir) DIR *folder = opendir(rig->guest.all);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        delete_one(rig, entry->d_name);
    assert_int_equal(containers_count(rig->guest.service.containers), 0);
    for (size_t i = 0; i < IDS; i++)
        (void) snprintf(rig->ids[i], sizeof rig->ids[i], "c%u-%zu", rig->epoch, i); /* fits */
    rig->epoch++;
}

static void one_request(struct rig *rig)
{
    const ProtobufCServiceDescriptor *contract = agent_service.contract;
    unsigned                          which    = draw(rig, contract->n_methods);
    const ProtobufCMethodDescriptor  *method   = &contract->methods[which];
    AUTO(buffer) struct buffer        wire     = { 0 };
    uint8_t                           before[SHA256_LEN], after[SHA256_LEN];

    if (strcmp(method->name, "Shutdown") == 0) /* it ends the guest, and any host may */
        return;
    ProtobufCMessage *message = draw_message(rig, method->input, 0);
    uint32_t          form    = draw(rig, 4);
    if (form > 0)
        make_honest(rig, method->name, message);
    if (form > 1 && message->descriptor->n_fields > 0) {
        unsigned field = draw(rig, message->descriptor->n_fields);

        assert_true(field < MOST_FIELDS);
        rig->mutated[which][field]++;
        fill_field(rig, message, field, 0);
    }
    message_append(&wire, message);
    if (form != 1)
        spoil(rig, &wire);
    state_of(rig, before);
    int32_t code = ask(rig, method->name, buffer_bytes(&wire));
    if (code > 0) {
        state_of(rig, after);
        if (memcmp(before, after, sizeof after) != 0)
            fail_msg("%s was refused with %d and changed something", method->name, code);
    }
    rig->refused[which] += code > 0;
    rig->allowed[which] += code == 0;
    while (rig->n_blocks > 0)
        free(rig->blocks[--rig->n_blocks]);
}

static void nothing_beyond_the_policy_happens_whatever_is_asked(void **state)
{
    struct rig *rig = *state;

    for (unsigned i = 0; i < REQUESTS; i++) {
        if (i % EPOCH == 0)
            begin_epoch(rig);
        one_request(rig);
    }
    begin_epoch(rig);
    check_told(rig);
    for (unsigned i = 0; i < agent_service.contract->n_methods; i++) {
        const char *name = agent_service.contract->methods[i].name;

        if (strcmp(name, "Shutdown") == 0)
            continue;
        for (unsigned f = 0; f < agent_service.contract->methods[i].input->n_fields; f++)
            if (rig->mutated[i][f] < EACH_AT_LEAST)
                fail_msg("%s: field %s was changed alone only %u times", name, agent_service.contract->methods[i].input->fields[f].name, rig->mutated[i][f]);
        if (rig->refused[i] == 0)
            fail_msg("%s was never refused: is it asked at all?", name);
        if ((strcmp(name, "WriteInput") == 0 || strcmp(name, "UpdateContainer") == 0 || strcmp(name, "ResizeTerminal") == 0 ||
             strcmp(name, "ConfigureNetwork") == 0) && rig->allowed[i] > 0)
            fail_msg("%s was allowed %u times", name, rig->allowed[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_beyond_the_policy_happens_whatever_is_asked, open_rig, close_rig),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

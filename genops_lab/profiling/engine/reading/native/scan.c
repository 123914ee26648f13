/* Events of a Chrome trace as columns: the common case of what `batches.py` reads, in one pass over the text.

   It reads only the usual output of profilers. For anything else (an exponent in a time, half a UTF-16 pair, a repeated
   key, an extra comma, an unexpected type) it declines the whole text, which Python then reads carefully. A text that it
   accepts gives the same result in Python. It allocates nothing, reads only inside the text, and writes only into the
   given arrays, up to their capacity. */

#include <stdint.h>
#include <string.h>

#define API __attribute__((visibility("default")))
#define DEEPEST 64
/* Longer numbers are declined, so that nothing overflows. */
#define TIME_DIGITS 16
#define NUMBER_DIGITS 18
/* Microseconds, slightly below the limit of nanoseconds (LARGEST in times.py). */
#define LATEST (((int64_t)1 << 62) / 1000 - 1)
#define MOST_KEYS 64
#define BUCKETS 128

typedef const uint8_t *Text;

/* Types of argument values, numbered as in __init__.py. Reals and raw values are tokens. */
enum { WHOLE, REAL, RAW, DEVICE, STREAM };

typedef struct {
    Text text;
    int32_t length;
    int32_t type;
} Key;

/* Distinct tokens, as positions in the text; `slots` is a hash table of their numbers, 0 for an empty slot. */
typedef struct {
    int32_t *begin;
    int32_t *length;
    uint64_t *hash;
    int32_t *slots;
    int32_t capacity; /* `slots` has a power of two of entries, at least twice as many */
    int32_t mask;
    int32_t count;
    int32_t unused;
} Tokens;

/* Distinct rows that many slices share: category, name, process, thread, device, stream, as numbers of tokens, -1 for a
   missing one. */
#define ROW 6
typedef struct {
    int32_t *tokens;
    int32_t *slots;
    int32_t capacity;
    int32_t mask;
    int32_t count;
    int32_t unused;
} Rows;

/* Values of an argument, and their slices. */
typedef struct {
    int32_t *slice;
    int64_t *value;
    int32_t count;
    int32_t unused;
} Sparse;

typedef struct {
    const Key *keys; /* those of slices, then those of memory events */
    Sparse *arguments; /* one per key */
    int32_t keys_count;
    int32_t memory_keys; /* the first of them */
    int32_t capacity; /* of slices and of memory events, and of each argument */
    int32_t memory; /* events */
    int64_t *ts;
    int64_t *dur;
    int32_t *row;
    int64_t *memory_ts;
    int32_t *memory_thread; /* two tokens each: process and thread */
    Tokens tokens;
    Rows rows;
    int32_t *other_begin; /* events that are neither slices nor flows */
    int32_t *other_length;
    int32_t others_capacity;
    int32_t others;
    int32_t slices;
    int32_t events;
    int64_t missing; /* value of a missing time */
} Scan;

typedef struct {
    Text base;
    Text at;
    Text end;
    Scan *scan;
    int8_t bucket[BUCKETS]; /* the first key of a hash; others follow by `next` */
    int8_t next[MOST_KEYS];
} State;

/* An argument of the current event. */
typedef struct {
    int64_t value;
    int32_t key;
} Given;

/* The current event. */
typedef struct {
    int64_t ts;
    int64_t dur;
    int32_t row[ROW];
    int count;
    Given given[MOST_KEYS];
} Event;

static inline void space(State *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')) s->at++;
}

static inline int taken(State *s, uint8_t letter) {
    space(s);
    if (s->at >= s->end || *s->at != letter) return 0;
    s->at++;
    return 1;
}

static inline int is_digit(uint8_t letter) { return letter >= '0' && letter <= '9'; }

static int hexadecimal(uint8_t letter) {
    if (is_digit(letter)) return letter - '0';
    letter |= 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Skip an escape after its backslash. UTF-16 surrogates are left to Python, also whole pairs. */
static int escape(State *s) {
    if (s->at >= s->end) return 0;
    uint8_t letter = *s->at++;
    if (letter != 'u') return letter != 0 && strchr("\"\\/bfnrt", letter) != NULL;
    if (s->end - s->at < 4) return 0;
    int code = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hexadecimal(*s->at++);
        if (digit < 0) return 0;
        code = code * 16 + digit;
    }
    return code < 0xD800 || code > 0xDFFF;
}

#define EACH(byte) (0x0101010101010101ULL * (byte))
#define ZEROS(word) (((word)-EACH(1)) & ~(word) & EACH(0x80))

/* Skip a text; `at` is after its quotation mark. 0: it is not a text, or has control characters. */
static int string(State *s, int *escaped) {
    *escaped = 0;
    for (;;) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        while (s->end - s->at >= 8) {
            uint64_t word;
            memcpy(&word, s->at, 8);
            uint64_t met = ZEROS(word ^ EACH('"')) | ZEROS(word ^ EACH('\\')) | ((word - EACH(0x20)) & ~word & EACH(0x80));
            if (met) {
                s->at += __builtin_ctzll(met) >> 3;
                break;
            }
            s->at += 8;
        }
#endif
        if (s->at >= s->end) return 0;
        uint8_t letter = *s->at++;
        if (letter == '"') return 1;
        if (letter < 0x20) return 0;
        if (letter == '\\') {
            *escaped = 1;
            if (!escape(s)) return 0;
        }
    }
}

/* Skip a JSON number. */
static int number(State *s) {
    if (s->at < s->end && *s->at == '-') s->at++;
    if (s->at >= s->end || !is_digit(*s->at)) return 0;
    if (*s->at == '0') s->at++;
    else while (s->at < s->end && is_digit(*s->at)) s->at++;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (s->at >= s->end || !is_digit(*s->at)) return 0;
        while (s->at < s->end && is_digit(*s->at)) s->at++;
    }
    if (s->at < s->end && (*s->at | 0x20) == 'e') {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
        if (s->at >= s->end || !is_digit(*s->at)) return 0;
        while (s->at < s->end && is_digit(*s->at)) s->at++;
    }
    return 1;
}

static int word(State *s, const char *wanted) {
    size_t length = strlen(wanted);
    if ((size_t)(s->end - s->at) < length || memcmp(s->at, wanted, length) != 0) return 0;
    s->at += length;
    return 1;
}

/* Skip any value. */
static int value(State *s, int depth) {
    int escaped;
    space(s);
    if (s->at >= s->end) return 0;
    switch (*s->at) {
    case '"':
        s->at++;
        return string(s, &escaped);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    case '[':
        s->at++;
        if (depth >= DEEPEST) return 0;
        if (taken(s, ']')) return 1;
        do {
            if (!value(s, depth + 1)) return 0;
        } while (taken(s, ','));
        return taken(s, ']');
    case '{':
        s->at++;
        if (depth >= DEEPEST) return 0;
        if (taken(s, '}')) return 1;
        do {
            if (!taken(s, '"') || !string(s, &escaped) || !taken(s, ':') || !value(s, depth + 1)) return 0;
        } while (taken(s, ','));
        return taken(s, '}');
    default:
        return number(s);
    }
}

static inline uint64_t mixed(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    return hash ^ (hash >> 29);
}

static uint64_t hash_of(Text text, int32_t length) {
    uint64_t hash = (uint64_t)length, word;
    for (; length >= 8; text += 8, length -= 8) {
        memcpy(&word, text, 8);
        hash = mixed(hash, word);
    }
    word = 0;
    memcpy(&word, text, (size_t)length);
    return mixed(hash, word);
}

/* Return the number of a token; -1 for too many tokens. */
static int32_t numbered(State *s, Text begin, Text end) {
    Tokens *tokens = &s->scan->tokens;
    int32_t length = (int32_t)(end - begin);
    uint64_t hash = hash_of(begin, length);
    uint32_t slot = (uint32_t)hash & (uint32_t)tokens->mask;
    for (int32_t found; (found = tokens->slots[slot]) != 0; slot = (slot + 1) & (uint32_t)tokens->mask) {
        int32_t each = found - 1;
        if (tokens->hash[each] == hash && tokens->length[each] == length &&
            memcmp(s->base + tokens->begin[each], begin, (size_t)length) == 0)
            return each;
    }
    if (tokens->count >= tokens->capacity) return -1;
    int32_t each = tokens->count++;
    tokens->begin[each] = (int32_t)(begin - s->base);
    tokens->length[each] = length;
    tokens->hash[each] = hash;
    tokens->slots[slot] = each + 1;
    return each;
}

/* Return the number of a row; -1 for too many rows. */
static int32_t row_of(Scan *scan, const int32_t row[ROW]) {
    Rows *rows = &scan->rows;
    uint64_t hash = 0;
    for (int i = 0; i < ROW; i++) hash = mixed(hash, (uint64_t)(uint32_t)row[i]);
    uint32_t slot = (uint32_t)hash & (uint32_t)rows->mask;
    for (int32_t found; (found = rows->slots[slot]) != 0; slot = (slot + 1) & (uint32_t)rows->mask)
        if (memcmp(rows->tokens + ROW * (found - 1), row, ROW * sizeof *row) == 0) return found - 1;
    if (rows->count >= rows->capacity) return -1;
    memcpy(rows->tokens + ROW * rows->count, row, ROW * sizeof *row);
    rows->slots[slot] = ++rows->count;
    return rows->count - 1;
}

/* Read an integer without an exponent. */
static int whole(State *s, int64_t *found) {
    Text begin = s->at;
    int negative = s->at < s->end && *s->at == '-';
    if (!number(s)) return 0;
    Text digit = begin + negative;
    if (s->at - digit > NUMBER_DIGITS) return 0;
    int64_t sum = 0;
    for (; digit < s->at; digit++) {
        if (!is_digit(*digit)) return 0;
        sum = sum * 10 + (*digit - '0');
    }
    *found = negative ? -sum : sum;
    return 1;
}

/* Convert written microseconds to nanoseconds; halves are rounded to even. */
static int nanoseconds(State *s, int64_t *found) {
    Text begin = s->at;
    int negative = s->at < s->end && *s->at == '-';
    if (!number(s)) return 0;
    Text digit = begin + negative, dot = digit;
    int64_t sum = 0;
    for (; dot < s->at && is_digit(*dot); dot++) {
        if (dot - digit >= TIME_DIGITS) return 0;
        sum = sum * 10 + (*dot - '0');
    }
    if (sum > LATEST) return 0;
    Text fraction = dot < s->at && *dot == '.' ? dot + 1 : dot;
    for (int i = 0; i < 3; i++) {
        sum *= 10;
        if (fraction < s->at) {
            if (!is_digit(*fraction)) return 0;
            sum += *fraction++ - '0';
        }
    }
    if (fraction < s->at) {
        int first = *fraction, more = 0;
        for (Text each = fraction; each < s->at; each++) {
            if (!is_digit(*each)) return 0;
            more |= each > fraction && *each != '0';
        }
        if (first > '5' || (first == '5' && (more || (sum & 1)))) sum++;
    }
    *found = negative ? -sum : sum;
    return 1;
}

/* Read an integer or a text; return the number of its token, -1 for null. */
static int place(State *s, int32_t *found) {
    Text begin = s->at;
    int64_t ignored;
    int escaped;
    if (s->at >= s->end) return 0;
    if (*s->at == 'n') {
        *found = -1;
        return word(s, "null");
    }
    if (*s->at == '"') {
        s->at++;
        if (!string(s, &escaped)) return 0;
    } else if (!whole(s, &ignored)) {
        return 0;
    }
    *found = numbered(s, begin, s->at);
    return *found >= 0;
}

/* Read a text; return the number of its token, with its quotation marks. */
static int text(State *s, int32_t *found) {
    Text begin = s->at;
    int escaped;
    if (s->at >= s->end || *s->at != '"') return 0;
    s->at++;
    if (!string(s, &escaped)) return 0;
    *found = numbered(s, begin, s->at);
    return *found >= 0;
}

static inline int hash_of_key(Text key, int32_t length) {
    return length == 0 ? 0 : (length * 31 + key[0] * 7 + key[length - 1] * 3 + key[length / 2]) & (BUCKETS - 1);
}

static int key_of(const State *s, Text key, int32_t length) {
    const Key *keys = s->scan->keys;
    for (int each = s->bucket[hash_of_key(key, length)]; each >= 0; each = s->next[each])
        if (keys[each].length == length && memcmp(keys[each].text, key, (size_t)length) == 0) return each;
    return -1;
}

/* Read the arguments of a slice or a memory event, from the opening bracket. */
static int arguments(State *s, Event *e) {
    uint64_t met = 0;
    int escaped;
    e->count = 0;
    if (!taken(s, '{')) return 0;
    if (taken(s, '}')) return 1;
    do {
        if (!taken(s, '"')) return 0;
        Text key = s->at;
        if (!string(s, &escaped) || escaped) return 0;
        int found = key_of(s, key, (int32_t)(s->at - 1 - key));
        if (!taken(s, ':')) return 0;
        space(s);
        if (found < 0) {
            if (!value(s, 2)) return 0;
            continue;
        }
        if (met >> found & 1) return 0;
        met |= (uint64_t)1 << found;
        Given *each = e->given + e->count;
        each->key = found;
        Text begin = s->at;
        int is_null = begin < s->end && *begin == 'n';
        int32_t token = -1;
        switch (s->scan->keys[found].type) {
        case WHOLE:
            if (is_null) {
                if (!word(s, "null")) return 0;
                continue;
            }
            if (!whole(s, &each->value)) return 0;
            break;
        case REAL:
            if (!number(s)) return 0;
            token = numbered(s, begin, s->at);
            if (token < 0) return 0;
            each->value = token;
            break;
        case DEVICE:
        case STREAM:
            if (!place(s, e->row + (s->scan->keys[found].type == DEVICE ? 4 : 5))) return 0;
            continue;
        default:
            if (!value(s, 2)) return 0;
            if (is_null) continue;
            token = numbered(s, begin, s->at);
            if (token < 0) return 0;
            each->value = token;
        }
        e->count++;
    } while (taken(s, ','));
    return taken(s, '}');
}

enum { PH, CAT, NAME, PID, TID, TS, DUR, ARGS, FIELDS };

static int field_of(Text key, int32_t length) {
    switch (length) {
    case 2:
        return key[0] == 'p' && key[1] == 'h' ? PH : key[0] == 't' && key[1] == 's' ? TS : FIELDS;
    case 3:
        if (memcmp(key, "cat", 3) == 0) return CAT;
        if (memcmp(key, "pid", 3) == 0) return PID;
        if (memcmp(key, "tid", 3) == 0) return TID;
        return memcmp(key, "dur", 3) == 0 ? DUR : FIELDS;
    case 4:
        return memcmp(key, "name", 4) == 0 ? NAME : memcmp(key, "args", 4) == 0 ? ARGS : FIELDS;
    default:
        return FIELDS;
    }
}

/* Read the arguments at `begin`, which came before the phase. */
static int again(State *s, Text begin, Event *e) {
    Text behind = s->at;
    s->at = begin;
    int found = arguments(s, e);
    s->at = behind;
    return found;
}

static void keep_arguments(Scan *scan, int32_t place, int of_memory, const Event *e) {
    for (int i = 0; i < e->count; i++) {
        if ((e->given[i].key >= scan->memory_keys) != of_memory) continue;
        Sparse *sparse = scan->arguments + e->given[i].key;
        sparse->slice[sparse->count] = place;
        sparse->value[sparse->count++] = e->given[i].value;
    }
}

static int keep_slice(Scan *scan, const Event *e) {
    int32_t row = row_of(scan, e->row);
    if (scan->slices >= scan->capacity || row < 0) return 0;
    scan->ts[scan->slices] = e->ts;
    scan->dur[scan->slices] = e->dur;
    scan->row[scan->slices] = row;
    keep_arguments(scan, scan->slices++, 0, e);
    return 1;
}

static int is_memory(const State *s, const Event *e) {
    static const char wanted[] = "\"[memory]\"";
    const Tokens *tokens = &s->scan->tokens;
    int32_t name = e->row[1];
    return name >= 0 && tokens->length[name] == sizeof wanted - 1 &&
           memcmp(s->base + tokens->begin[name], wanted, sizeof wanted - 1) == 0;
}

static int keep_memory(Scan *scan, const Event *e) {
    if (scan->memory >= scan->capacity) return 0;
    scan->memory_ts[scan->memory] = e->ts;
    memcpy(scan->memory_thread + 2 * scan->memory, e->row + 2, 2 * sizeof *e->row);
    keep_arguments(scan, scan->memory++, 1, e);
    return 1;
}

static int keep_other(Scan *scan, Text base, Text begin, Text end) {
    if (scan->others >= scan->others_capacity) return 0;
    scan->other_begin[scan->others] = (int32_t)(begin - base);
    scan->other_length[scan->others++] = (int32_t)(end - begin);
    return 1;
}

/* Read the value of a field of a slice or a memory event. */
static int field_value(State *s, int field, Event *e) {
    switch (field) {
    case CAT:
        return s->at < s->end && *s->at == 'n' ? word(s, "null") : text(s, e->row);
    case NAME:
        return text(s, e->row + 1);
    case PID:
        return place(s, e->row + 2);
    case TID:
        return place(s, e->row + 3);
    case TS:
        return nanoseconds(s, &e->ts);
    case DUR:
        return nanoseconds(s, &e->dur);
    default:
        return value(s, 1);
    }
}

/* Read an event, from its opening bracket. */
static int event(State *s) {
    Scan *scan = s->scan;
    Event e = {.ts = scan->missing, .row = {-1, -1, -1, -1, -1, -1}};
    unsigned met = 0;
    uint8_t phase = 0;
    int escaped, odd = 0;
    Text begin = s->at, late = NULL;
    if (!taken(s, '{')) return 0;
    do {
        if (!taken(s, '"')) return 0;
        Text key = s->at;
        if (!string(s, &escaped) || escaped) return 0;
        int field = field_of(key, (int32_t)(s->at - 1 - key));
        if (!taken(s, ':')) return 0;
        space(s);
        if (field != FIELDS) {
            if (met >> field & 1) return 0;
            met |= 1u << field;
        }
        if (field == PH) {
            if (s->end - s->at < 3 || s->at[0] != '"' || s->at[2] != '"') return 0;
            phase = s->at[1];
            s->at += 3;
        } else if (field == ARGS && (phase == 'X' || phase == 'i')) {
            Text from = s->at;
            if (!arguments(s, &e)) {
                if (phase == 'X') return 0;
                s->at = from;
                odd = 1;
                if (!value(s, 1)) return 0;
            }
        } else {
            if (field == ARGS) late = s->at;
            if (!field_value(s, phase == 0 || phase == 'X' || phase == 'i' ? field : FIELDS, &e)) return 0;
        }
    } while (taken(s, ','));
    if (!taken(s, '}')) return 0;
    scan->events++;
    if (phase == 'X') return (late == NULL || again(s, late, &e)) && keep_slice(scan, &e);
    if (phase == 'i' && is_memory(s, &e) && !odd && (late == NULL || again(s, late, &e)))
        return keep_memory(scan, &e);
    /* Checked before the words, because a letter of 0 ends them. */
    if (phase == 0) return 0;
    return strchr("sftTpIPNODVvRc(),", phase) != NULL ||
           (strchr("MiCBEbenSF", phase) != NULL && keep_other(scan, s->base, begin, s->at));
}

/* Lets the caller check that its Scan has this layout. */
API int64_t genops_scan_size(void) { return sizeof(Scan); }

/* Read `text`, an array of `length` bytes below 2 GiB in valid UTF-8. Return 1, or 0 where it is left to Python. The
   caller passes empty hash tables, and all counts as 0. */
API int genops_scan(Text text_, int64_t length, Scan *scan) {
    State s = {text_, text_, text_ + length, scan, {0}, {0}};
    if (length > INT32_MAX || scan->keys_count > MOST_KEYS) return 0;
    memset(s.bucket, -1, sizeof s.bucket);
    for (int each = 0; each < scan->keys_count; each++) {
        int8_t *bucket = s.bucket + hash_of_key(scan->keys[each].text, scan->keys[each].length);
        s.next[each] = *bucket;
        *bucket = (int8_t)each;
    }
    if (!taken(&s, '[')) return 0;
    if (!taken(&s, ']')) {
        do {
            space(&s);
            if (!event(&s)) return 0;
        } while (taken(&s, ','));
        if (!taken(&s, ']')) return 0;
    }
    space(&s);
    return s.at == s.end;
}

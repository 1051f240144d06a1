/* words.c: writes MIB mebibytes of word-like text to standard output, the same each time: words of
 * a made-up vocabulary, in lines and paragraphs. Usage: words MIB */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VOCABULARY = 1000, LONGEST = 24 };

static uint64_t state = 0x9e3779b97f4a7c15u;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1du >> 32;
}

static char   words[VOCABULARY][LONGEST];
static size_t lengths[VOCABULARY];

static void make_words(void)
{
    static const char *onsets[] = {"b", "br", "c", "ch", "d",  "f", "g",  "h",  "l", "m", "n",
                                   "p", "pl", "r", "s",  "st", "t", "th", "tr", "v", "w", ""};
    static const char *vowels[] = {"a", "e", "i", "o", "u", "ea", "ou", "e", "a"};
    static const char *codas[] = {"", "n", "r", "s", "t", "l", "nd", "st", "ng", "", ""};
    for (size_t i = 0; i < VOCABULARY; i++) {
        unsigned syllables = 2 + (unsigned)(draw() % 3);
        char    *word = words[i];
        word[0] = '\0';
        for (unsigned s = 0; s < syllables; s++) {
            strcat(word, onsets[draw() % (sizeof onsets / sizeof *onsets)]);
            strcat(word, vowels[draw() % (sizeof vowels / sizeof *vowels)]);
            strcat(word, codas[draw() % (sizeof codas / sizeof *codas)]);
            if (strlen(word) > LONGEST - 7) break;
        }
        lengths[i] = strlen(word);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: words MIB\n");
        return 2;
    }
    uint64_t    left = strtoull(argv[1], NULL, 10) << 20;
    static char buffer[1 << 20];
    size_t      column = 0;
    make_words();
    while (left > 0) {
        size_t size = left < sizeof buffer ? (size_t)left : sizeof buffer;
        size_t used = 0;
        while (used + LONGEST + 4 < sizeof buffer) {
            size_t   word = draw() % VOCABULARY;
            uint64_t dice = draw() % 1000;
            memcpy(buffer + used, words[word], lengths[word]);
            used += lengths[word];
            column += lengths[word] + 1;
            if (dice < 60)
                buffer[used++] = ',';
            else if (dice < 120)
                buffer[used++] = '.';
            if (column > 90) {
                buffer[used++] = '\n';
                if (dice > 900) buffer[used++] = '\n';
                column = 0;
            } else {
                buffer[used++] = ' ';
            }
        }
        while (used < sizeof buffer) buffer[used++] = '\n';
        if (fwrite(buffer, 1, size, stdout) != size) {
            perror("words");
            return 1;
        }
        left -= size;
    }
    if (fflush(stdout) != 0) {
        perror("words");
        return 1;
    }
    return 0;
}

using System.Text.Json.Nodes;

namespace Glm.Evaluation;

/// <summary>Questions made of plain texts: spans to be filled in, and passages to be continued. Where they stand is drawn, and depends on the seed and the document alone.</summary>
internal static class HeldOutPassages
{
    private const int LeftUnits = 128, RightUnits = 64, LeastLeft = 16, LeastRight = 8, SpansOfLength = 3, Attempts = 8;
    private const int Beginning = 64, Rest = 160;

    /// <summary>Lengths of spans, in units, under the names of their groups.</summary>
    private static (string Name, int Least, int Most)[] Lengths { get; } = [("1", 1, 1), ("2", 2, 2), ("3-4", 3, 4), ("5-8", 5, 8), ("9-16", 9, 16)];

    /// <summary>
    /// Spans of every length of each document: fields <c>left</c>, <c>span</c>, <c>right</c>, <c>length</c> (the group's name), and <c>guess</c>, the most frequent
    /// span of just so many units in the whole file. No span crosses a line.
    /// </summary>
    public static IEnumerable<DataRecord> Blanks(IEnumerable<DataRecord> documents, int seed)
    {
        var texts = Texts(documents).ToList();
        var guesses = new Guesses([.. texts.Where(text => text.Text is not null).Select(text => (text.Text!, text.Units))]);
        foreach (var (record, text, units, number) in texts)
        {
            if (text is null)
            {
                if (record.Fault is not null) yield return record;
                continue;
            }
            var random = new CounterRandom((ulong)seed, (ulong)number);
            foreach (var (name, least, most) in Lengths)
                for (int i = 0; i < SpansOfLength; i++)
                    if (Draw(text, units, least + random.NextInt(most - least + 1), random) is var (start, length))
                        yield return record with
                        {
                            Fields = new JsonObject
                            {
                                ["left"] = text[units[Math.Max(0, start - LeftUnits)].Start..units[start].Start].TrimEnd(' '),
                                ["span"] = text[units[start].Start..units[start + length - 1].End],
                                ["right"] = text[units[start + length - 1].End..units[Math.Min(units.Count, start + length + RightUnits) - 1].End],
                                ["length"] = name,
                                ["guess"] = guesses.OfLength(length),
                            },
                        };
        }
    }

    /// <summary>A passage of each document that is long enough: fields <c>left</c>, its beginning, and <c>right</c>, how it goes on.</summary>
    public static IEnumerable<DataRecord> Passages(IEnumerable<DataRecord> documents, int seed)
    {
        foreach (var (record, text, units, number) in Texts(documents))
        {
            if (record.Fault is not null) yield return record;
            if (text is null || units.Count < Beginning + Rest) continue;
            int start = new CounterRandom((ulong)seed, (ulong)number).NextInt(units.Count - Beginning - Rest + 1), end = units[start + Beginning - 1].End;
            yield return record with { Fields = new JsonObject { ["left"] = text[units[start].Start..end], ["right"] = text[end..units[start + Beginning + Rest - 1].End] } };
        }
    }

    /// <summary>A place for a span, or null where a few draws found none.</summary>
    private static (int Start, int Length)? Draw(string text, List<(int Start, int End)> units, int length, CounterRandom random)
    {
        int places = units.Count - LeastLeft - length - LeastRight + 1;
        for (int attempt = 0; attempt < Attempts && places > 0; attempt++)
        {
            int start = LeastLeft + random.NextInt(places);
            if (!text.AsSpan(units[start].Start, units[start + length - 1].End - units[start].Start).Contains('\n')) return (start, length);
        }
        return null;
    }

    /// <summary>The texts of records with their units; none of what is no text, and of texts that name blanks themselves.</summary>
    private static IEnumerable<(DataRecord Record, string? Text, List<(int Start, int End)> Units, int Number)> Texts(IEnumerable<DataRecord> documents)
    {
        foreach (var (number, record) in documents.Index())
        {
            string? text = record.Fields?["text"] is { } node ? Template.Text(node) : null;
            if (text?.Contains("MASK]", StringComparison.Ordinal) == true) text = null;
            yield return (record, text, text is null ? [] : TextUnits.Of(text), number);
        }
    }

    /// <summary>The most frequent spans of texts by length.</summary>
    private sealed class Guesses(IReadOnlyList<(string Text, List<(int Start, int End)> Units)> texts)
    {
        private readonly Dictionary<int, string> _known = [];
        private int[][]? _ids;

        public string OfLength(int length)
        {
            if (_known.TryGetValue(length, out string? known)) return known;
            var numbers = new Dictionary<string, int>();
            _ids ??= [.. texts.Select(text => text.Units.Select(unit => Number(text.Text[unit.Start..unit.End])).ToArray())];
            // Spans are told apart by a hash of their units, which a few clashes do not change.
            var counts = new Dictionary<long, int>();
            int most = 0, document = 0, start = 0;
            for (int i = 0; i < _ids.Length; i++)
                for (int j = 0; j + length <= _ids[i].Length; j++)
                {
                    long key = 0;
                    foreach (int id in _ids[i].AsSpan(j, length)) key = (key + id + 1) * 0x5851F42D4C957F2D;
                    int count = counts[key] = counts.GetValueOrDefault(key) + 1;
                    if (count > most) (most, document, start) = (count, i, j);
                }
            var (text, units) = texts[document];
            return _known[length] = text[units[start].Start..units[start + length - 1].End];

            int Number(string word)
            {
                if (!numbers.TryGetValue(word, out int number)) numbers[word] = number = numbers.Count;
                return number;
            }
        }
    }
}

using System.Text.Json.Nodes;
using Glm.Tokenizers;

namespace Glm.Evaluation;

/// <summary>A text that passages are taken from.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Text">The text.</param>
public sealed record SourceText(string Id, string Text);

/// <summary>
/// Makes TSort questions of texts (ChatGLM spec 15.1): four passages that follow one another, in random order between the text before and after them, with the
/// schema of Ada-LEval's files. Passages are whole sentences and about equally long.
/// </summary>
/// <param name="tokenizer">Counts tokens.</param>
public sealed class PassageSort(Tokenizer tokenizer)
{
    private const int Parts = 4;

    // Shares of the text before and after; the rest is the four parts.
    private const double Surroundings = 0.1;

    private const string Instruction =
        "Below are four parts of a passage from a book, in random order, and the text that stands before and after the passage. Find the order in which the parts follow one another. " +
        "Reply with a list of their numbers: [4, 1, 3, 2] would mean that part 4 comes first, then part 1, part 3 and part 2.\n\nThe form of the reply:\n\nAnswer: [4, 1, 3, 2]\n\n";

    /// <summary>Questions of a length.</summary>
    /// <param name="texts">The texts.</param>
    /// <param name="setting">The length of prompts, which they come close to and do not exceed.</param>
    /// <param name="count">How many questions.</param>
    /// <param name="seed">Key of the draws.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">No text is long enough.</exception>
    public JsonArray Questions(IReadOnlyList<SourceText> texts, LengthSetting setting, int count, ulong seed, CancellationToken cancellation = default)
    {
        int room = setting.Tokens - tokenizer.Encode(Prompt("", ["", "", "", ""], "")).Length;
        var sources = texts.Select(text => new Sentences(text, tokenizer)).Where(source => source.Tokens >= room).ToList();
        if (sources.Count == 0 || room < 20 * Parts) throw new GlmException($"setting {setting.Name}: expected a text of {room:N0} tokens or more, found none in {texts.Count:N0} texts");
        var questions = new JsonArray();
        for (int i = 0; i < count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var random = new CounterRandom(seed, (ulong)i);
            questions.Add(Question(sources[random.NextInt(sources.Count)], room, random));
        }
        return questions;
    }

    private static JsonObject Question(Sentences source, int room, CounterRandom random)
    {
        int start = random.NextInt(source.LastStart(room) + 1);
        // Ends of the text before, of each part, and of the text after, as sentences.
        int[] ends = new int[Parts + 2];
        double target = source.TokensBefore(start);
        int at = start;
        for (int i = 0; i < ends.Length; i++)
        {
            target += room * (i is 0 or Parts + 1 ? Surroundings : (1 - (2 * Surroundings)) / Parts);
            at = ends[i] = Math.Max(at + 1, source.EndWithin(target));
        }
        int[] order = [0, 1, 2, 3];
        for (int i = 0; i < Parts - 1; i++)
        {
            int other = i + random.NextInt(Parts - i);
            (order[i], order[other]) = (order[other], order[i]);
        }
        string[] parts = [.. order.Select(part => source.Text(ends[part], ends[part + 1]))];
        return new JsonObject
        {
            ["book_id"] = source.Id,
            ["para_offset"] = new JsonArray([.. Enumerable.Range(0, Parts).Select(part => (JsonNode)source.Offset(ends[part]))]),
            ["prompt"] = Prompt(source.Text(start, ends[0]), parts, source.Text(ends[Parts], ends[Parts + 1])),
            ["answer"] = new JsonArray([.. Enumerable.Range(0, Parts).Select(part => (JsonNode)(Array.IndexOf(order, part) + 1))]),
        };
    }

    private static string Prompt(string before, IReadOnlyList<string> parts, string after) =>
        $"{Instruction}Before:\n\n{before}\n\n{string.Concat(parts.Select((part, i) => $"Part {i + 1}:\n\n{part}\n\n"))}After:\n\n{after}\n\nAnswer:";

    /// <summary>A text in sentences, with the tokens before each.</summary>
    private sealed class Sentences
    {
        private readonly string _text;
        private readonly List<int> _starts = [0];
        private readonly List<int> _tokens = [0];

        public Sentences(SourceText source, Tokenizer tokenizer)
        {
            (Id, _text) = (source.Id, source.Text);
            for (int i = 0; i < _text.Length; i++)
            {
                bool ends = _text[i] is '。' or '！' or '？' || (_text[i] is '.' or '!' or '?' or '\n' && (i + 1 == _text.Length || char.IsWhiteSpace(_text[i + 1])));
                if (!ends && i + 1 < _text.Length) continue;
                _tokens.Add(_tokens[^1] + tokenizer.Encode(_text[_starts[^1]..(i + 1)]).Length + 1); // pieces may differ where sentences are joined
                _starts.Add(i + 1);
            }
        }

        public string Id { get; }

        public int Tokens => _tokens[^1];

        public int Offset(int sentence) => _starts[sentence];

        public double TokensBefore(int sentence) => _tokens[sentence];

        /// <summary>The last sentence after which there are so many tokens.</summary>
        public int LastStart(int tokens) => Math.Max(0, FirstAbove(Tokens - tokens) - 1);

        /// <summary>The last sentence that ends before so many tokens.</summary>
        public int EndWithin(double tokens) => Math.Max(0, FirstAbove((int)tokens) - 1);

        public string Text(int from, int to) => _text[_starts[Math.Min(from, _starts.Count - 1)].._starts[Math.Min(to, _starts.Count - 1)]].Trim();

        private int FirstAbove(int tokens)
        {
            int place = _tokens.BinarySearch(tokens + 1);
            return place < 0 ? ~place : place;
        }
    }
}

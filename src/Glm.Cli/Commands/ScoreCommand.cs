using System.CommandLine;
using System.Text;
using Glm.Inference;
using Glm.Tokenizers;

namespace Glm.Cli.Commands;

/// <summary><c>glm score</c>: how probable a model finds a text, token by token.</summary>
internal static class ScoreCommand
{
    public static Command Create(Terminal terminal)
    {
        var text = Options.Text("The text; - reads it from standard input");
        var model = Options.Model();
        var newlines = Options.Newlines();
        var adapter = Options.Adapter();
        var memory = Options.Memory();
        var threads = Options.Threads();
        var json = Options.Json();
        return new ExampleCommand("score", "Log-probability of each token of a text, and bits per byte; the first token of a text that nothing stands before (BLOOM) counts as one of all equally probable ones",
            "glm score \"The quick brown fox jumps over the lazy dog.\"", "glm score --json - < chapter.txt")
        {
            text, model, newlines, adapter, memory, threads, json,
        }.Does((parse, cancellation) =>
        {
            string input = terminal.Text(parse.GetValue(text), cancellation) ?? throw new UsageException("no text given; - reads it from standard input");
            if (input.Length == 0) throw new GlmException("text: expected some text, found none");
            using var loaded = Opening.Load(
                terminal, parse.GetValue(model), parse.GetValue(threads), parse.GetValue(memory), ice: new IceOptions { KeepNewlines = parse.GetValue(newlines) == "keep" }, quiet: true, adapter: parse.GetValue(adapter), cancellation: cancellation);
            int[] ids = loaded.Tokenizer.Encode(input);
            float[] scores = new Scorer(loaded.Model, loaded.Workers, loaded.Tokenizer.Special).Score(ids, cancellation);
            var score = new TextScore(input, loaded.Tokenizer, ids, scores);
            if (parse.GetValue(json)) terminal.WriteJson(score);
            else Print(terminal, score);
        });
    }

    private static void Print(Terminal terminal, TextScore score)
    {
        foreach (var token in score.Tokens) terminal.Out.WriteLine($"{token.LogProbability,9:F4}  {Visible(token.Piece)}");
        terminal.Out.WriteLine($"{-score.Nats,9:F4}  in all: {score.Tokens.Count} tokens, {score.Utf8Bytes} bytes, {score.BitsPerByte:F4} bits per byte");
    }

    private static string Visible(string piece) => piece.Replace("\n", "\\n").Replace("\r", "\\r").Replace("\t", "\\t");

    private sealed record TokenScore(int Id, string Piece, double LogProbability);

    /// <summary>What <c>--json</c> prints; natural logarithms.</summary>
    private sealed class TextScore(string text, Tokenizer tokenizer, int[] ids, float[] scores)
    {
        public IReadOnlyList<TokenScore> Tokens { get; } = [.. ids.Zip(scores, (id, score) => new TokenScore(id, tokenizer.PieceText(id), score))];

        public double Nats { get; } = -scores.Sum(score => (double)score);

        public int Utf8Bytes { get; } = Encoding.UTF8.GetByteCount(text);

        public double BitsPerByte => Scorer.BitsPerByte(Nats, Utf8Bytes);
    }
}

using System.Text;
using System.Text.Json;
using Glm.Inference;
using Glm.Inference.Tests;
using Glm.Tensors;

namespace Glm.Evaluation.Tests;

public sealed class BitsPerByteTests : IDisposable
{
    private static readonly string[] Documents =
        ["The cat sat on the mat.", string.Concat(Enumerable.Repeat("猫坐在垫子上, and the cat said: good night! ", 12)), "x"];

    private readonly Workers _workers = new(1);
    private readonly TemporaryFolder _folder = new();

    public void Dispose()
    {
        _folder.Dispose();
        _workers.Dispose();
    }

    [Fact]
    public void IsTheNatsOfEveryTokenOverTheBytesOfTheText()
    {
        string path = _folder.Write("texts.jsonl", string.Concat(Documents.Select(text => JsonSerializer.Serialize(new { text }) + "\n")));
        var result = Evaluate(path);
        int bytes = Documents.Sum(Encoding.UTF8.GetByteCount), tokens = Documents.Sum(text => TinyModel.Tokenizer.Encode(text).Length);
        Assert.Equal(3, result.Overall.Items);
        Assert.Empty(result.Errors);
        Assert.Equal(Documents.Sum(Nats) / Math.Log(2) / bytes, result.Overall.Metrics["bits_per_byte"].Average, 1e-4);
        // A unigram model that has seen nothing gives every token the same probability.
        var unigram = new UnigramModel(TinyModel.Tokenizer.VocabularySize);
        Assert.Equal(tokens * Math.Log2(TinyModel.Tokenizer.VocabularySize) / bytes, BitsPerByteTask.Of(BitsPerByteTask.Over(path, "*"), Options(), unigram, TinyModel.Tokenizer), 1e-9);
    }

    [Fact]
    public void StopsAtTheLimitAndNotesFaultyLines()
    {
        string path = _folder.Write("texts.jsonl", "{\"text\": \"one two\"}\nno json\n{\"text\": \"three\"}\n{\"text\": \"four\"}\n");
        var all = Evaluate(path);
        Assert.Equal(3, all.Overall.Items);
        Assert.Equal(1, all.Overall.Errors);
        Assert.Contains("line 2", Assert.Single(all.Errors));
        Assert.Equal(2, Evaluate(path, limit: 2).Overall.Items);
        Assert.Equal(3, Evaluate(_folder.Path).Overall.Items);
    }

    [Fact]
    public void FilesWithoutTextAreAnError() => Assert.Throws<GlmException>(() => Evaluate(_folder.Write("empty.jsonl", "{\"text\": \"\"}\n")));

    private TaskResult Evaluate(string path, int? limit = null)
    {
        using var model = TinyLocal.Create(_workers);
        return TaskRunner.Run(BitsPerByteTask.Over(path, "*.jsonl"), model, Options() with { Limit = limit });
    }

    private static TaskOptions Options() => new() { Data = "" };

    /// <summary>Token by token: 63 tokens, then 32 at a time after a bidirectional context of 31 (a model of 64 positions, stride 32).</summary>
    private double Nats(string text)
    {
        var special = TinyModel.Tokenizer.Blanks;
        var session = new Session(TinyModel.Create(), _workers);
        int[] ids = TinyModel.Tokenizer.Encode(text);
        double nats = 0;
        for (int start = 0, end = Math.Min(63, ids.Length); start < ids.Length; start = end, end = Math.Min(ids.Length, end + 32))
        {
            int[] context = start == 0 ? [] : ids[(start - 31)..start];
            for (int i = start; i < end; i++)
            {
                int[] input = [.. context, special.Continuation, special.Sop, .. ids[start..i]];
                var sequence = session.Cache.Add();
                float[] logits = session.Run([new SessionInput(sequence, input, Enumerable.Range(0, input.Length).ToArray(), context.Length + 1)]).ToArray();
                sequence.Release();
                nats += Math.Log(logits.Sum(logit => Math.Exp(logit))) - logits[ids[i]];
            }
        }
        return nats;
    }
}

using Glm.Models;
using Glm.Tensors;

namespace Glm.Inference.Tests;

/// <summary>Runs alone, since what the whole process allocates is counted.</summary>
[CollectionDefinition(nameof(SteadyDecoding), DisableParallelization = true)]
public sealed class SteadyDecoding;

/// <summary>Decoding allocates nothing on the managed heap, on any thread.</summary>
[Collection(nameof(SteadyDecoding))]
public sealed class SteadyDecodingTests
{
    private const int Prompt = 20, Tokens = 100;

    [Theory]
    [InlineData("glm", 1, DType.Float32)]
    [InlineData("chatglm", 1, DType.BFloat16)]
    [InlineData("chatglm", 3, DType.Int8)]
    public void A_hundred_tokens_allocate_nothing(string architecture, int batch, DType cache)
    {
        using var workers = new Workers(2);
        LanguageModel model = architecture == "glm" ? TinyModel.Create(maxSequenceLength: 128) : CausalModelTests.Create();
        var session = new Session(model, workers, cacheType: cache);
        Decode(session, batch);
        // The test host allocates now and then on threads of its own, so one quiet run is proof; what decoding allocates would be in every run.
        long least = long.MaxValue;
        for (int run = 0; run < 200 && least > 0; run++) least = Math.Min(least, Decode(session, batch));
        Assert.Equal(0, least);
    }

    /// <summary>Bytes that the process allocated while a prompt was continued.</summary>
    private static long Decode(Session session, int batch)
    {
        KvCache.Sequence[] sequences = [.. Enumerable.Range(0, batch).Select(_ => session.Cache.Add())];
        int[] ids = [.. Enumerable.Range(1, Prompt)], tokens = new int[batch], position = new int[1];
        var inputs = new SessionInput[batch];
        foreach (var sequence in sequences) session.Run([new SessionInput(sequence, ids, ids, session.Model.IsCausal ? 0 : Prompt)]);
        long before = 0;
        for (int step = 0; step < Tokens + 2; step++)
        {
            if (step == 2) before = GC.GetTotalAllocatedBytes(precise: true);
            position[0] = Prompt + step;
            for (int i = 0; i < batch; i++) inputs[i] = new SessionInput(sequences[i], tokens.AsMemory(i, 1), position, 0);
            var logits = session.Run(inputs);
            int vocabulary = session.Model.VocabSize;
            for (int i = 0; i < batch; i++) tokens[i] = logits.Slice(i * vocabulary, vocabulary).IndexOf(LogitMath.Max(logits.Slice(i * vocabulary, vocabulary)));
        }
        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        foreach (var sequence in sequences) sequence.Release();
        return allocated;
    }
}

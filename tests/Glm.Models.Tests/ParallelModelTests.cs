using Glm.Distributed;
using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>A model shared out among ranks, by matrices and by layers, gives the loss, the gradients and the logits of the whole one; dropout drops the same.</summary>
public sealed class ParallelModelTests
{
    private const int Rows = 48;
    private static readonly AttentionSegment[] Segments = [new(0, 20, 7), new(20, 28, 0)];

    private static Glm130BConfig Config { get; } = new() { NumLayers = 3, HiddenSize = 32, InnerHiddenSize = 48, NumAttentionHeads = 4, VocabSize = 72, MaxSequenceLength = 64 };

    [Theory]
    [InlineData(2, 1, 0f, false)]
    [InlineData(4, 1, 0.1f, false)]
    [InlineData(1, 2, 0.1f, false)]
    [InlineData(1, 5, 0f, false)] // the ends have no layer
    [InlineData(2, 2, 0.1f, true)]
    public void Loss_and_gradients_are_those_of_the_whole(int tensorRanks, int stages, float dropout, bool recompute)
    {
        float[]? loss = null;
        Dictionary<string, float[]> expected = [], found = [];
        Step(ProcessGroup.Alone, 1, 1, dropout, recompute: false, value => loss = value, (name, gradient) => expected.Add(name, gradient.ToArray()));
        InProcessJob.Run(tensorRanks * stages, world => Step(world, tensorRanks, stages, dropout, recompute,
            value => Close.Require("loss", loss, value, 0, 1e-6),
            (name, gradient) =>
            {
                lock (found) found.Add(name, gradient.ToArray());
            }));
        Assert.Equal(expected.Keys.Order(), found.Keys.Order());
        foreach (var (name, gradient) in expected) Close.Require(name, gradient, found[name], 1e-5, 1e-3);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Logits_are_those_of_the_whole(int ranks)
    {
        float[] expected = Logits(ProcessGroup.Alone);
        InProcessJob.Run(ranks, world => Close.Require("logits", expected, Logits(world), 1e-5));
    }

    /// <summary>The original's checkpoints of every precision, of as many ranks as run and of others.</summary>
    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void Ranks_that_load_a_checkpoint_compute_what_one_process_does(string name, int ranks)
    {
        string path = Path.Combine(OriginalCheckpoints.Folder, name);
        var whole = ModelDirectory.Load(path);
        float[] expected = Run(whole);
        InProcessJob.Run(ranks, world =>
        {
            var share = ModelDirectory.Load(path, world);
            Assert.Equal(whole.Config, share.Config);
            Close.Require($"{name} in {ranks} ranks", expected, Run(share), 1e-4);
            using var workers = new Workers(1);
            // Inputs are rounded to integers in blocks of 32, and a share of them begins blocks of its own.
            Close.Require($"{name} in {ranks} ranks, packed", Run(whole.Packed(workers)), Run(share.Packed(workers)), 3e-3);
        });

        static float[] Run(LanguageModel model)
        {
            using var workers = new Workers(1);
            var context = new Context(workers);
            int[] ids = [.. Ids(6).Take(20).Select(id => id % model.VocabSize)];
            var hidden = model.Forward(context, context.Integers(ids), context.Integers([.. Enumerable.Range(0, ids.Length)]), model.Within(context, [new(0, ids.Length, 7)]));
            return model.Logits(context, hidden).ToArray();
        }
    }

    public static TheoryData<string, int> Checkpoints()
    {
        var data = new TheoryData<string, int>();
        foreach (string name in OriginalCheckpoints.Names)
            foreach (int ranks in new[] { 2, 4 }) data.Add(name, ranks);
        return data;
    }

    [Fact]
    public void A_model_of_another_architecture_is_not_shared_out()
    {
        string folder = Directory.CreateTempSubdirectory("glm-models").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, ModelDirectory.ConfigFile), File.ReadAllText(Path.Combine(Glm.Tests.TestFiles.Reference, "chatglm2-6b-tiny", "config.json")));
            Assert.Contains("glm-130b", Assert.Throws<GlmException>(() => ModelDirectory.Load(folder, ProcessGroup.Alone)).Message);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void What_cannot_be_shared_out_is_refused()
    {
        Assert.Contains("for 3 ranks", Refusal(3, Config));
        Assert.Contains("attention heads", Refusal(8, Config with { VocabSize = 96, InnerHiddenSize = 64 }));
        Assert.Contains("word_embeddings", Refusal(2, Config with { VocabSize = 71 }));
        Assert.Contains("at most 5", Assert.Throws<GlmException>(() => ModelPart.Stage(3, 0, 6, ProcessGroup.Alone)).Message);

        static string Refusal(int ranks, Glm130BConfig config) => Assert.Throws<GlmException>(() => InProcessJob.Run(ranks, world => Model(world, config, 1, out _))).Message;
    }

    private static float[] Logits(ProcessGroup world)
    {
        using var workers = new Workers(1);
        var context = new Context(workers);
        var model = Model(world, Config, 1, out _);
        var hidden = model.Forward(context, context.Integers(Ids(3)), context.Integers(Positions), model.Within(context, Segments));
        return model.Logits(context, hidden).ToArray();
    }

    /// <summary>One training step; tells the loss where it is computed, and the gradients of whole parameters on the ranks that own them.</summary>
    private static void Step(ProcessGroup world, int tensorRanks, int stages, float dropout, bool recompute, Action<float[]> tellLoss, Action<string, Tensor> tellGradient)
    {
        using var workers = new Workers(1);
        var context = new Context(workers) { Seed = 9 };
        var model = Model(world, Config, stages, out var tensors, dropout, recompute);
        foreach (var (_, tensor) in model.Parameters) (tensor.RequiresGradient, tensor.Gradient) = (true, Tensor.Zeros(DType.Float32, tensor.Shape));
        int stage = world.Rank / tensorRanks;
        context.Record();
        var input = context.Integers(Ids(3));
        if (stage > 0)
        {
            input = Tensor.Allocate(DType.Float32, Rows, Config.HiddenSize);
            world.Receive(input, world.Rank - tensorRanks);
            input.RequiresGradient = true;
        }
        var done = new List<int>();
        model.LayerDone = done.Add;
        var output = model.RunPart(context, input, context.Integers(Positions), model.Within(context, Segments));
        if (model.Part.HasHead)
        {
            var (loss, _) = model.Loss(context, output, context.Integers(Ids(4)), context.Floats([.. Enumerable.Repeat(1f / Rows, Rows)], Rows));
            tellLoss(loss.ToArray());
            context.Backward(loss);
        }
        else
        {
            world.Send(output, world.Rank + tensorRanks);
            var gradient = Tensor.Allocate(DType.Float32, Rows, Config.HiddenSize);
            world.Receive(gradient, world.Rank + tensorRanks);
            context.Backward(output, gradient);
        }
        if (stage > 0) world.Send(input.Gradient!, world.Rank - tensorRanks);
        Assert.Equal(Enumerable.Range(model.Part.FirstLayer, model.Part.EndLayer - model.Part.FirstLayer).Reverse(), done);

        var ends = world.Split(model.Part.HasEmbedding || model.Part.HasHead ? tensors.Rank : -1 - world.Rank);
        if (stages > 1 && ends.Size > 1) ends.AllReduce(model.WordEmbeddings.Gradient!);
        foreach (var (name, shape) in Glm130B.Shapes(Config))
        {
            if (!model.Part.Has(name)) continue;
            var mine = model.Parameters.First(p => p.Name == name).Tensor.Gradient!;
            Tensor[] parts = [.. Enumerable.Range(0, tensors.Size).Select(rank => rank == tensors.Rank ? mine : Tensor.Allocate(DType.Float32, mine.Shape))];
            tensors.AllGather(new TensorLine(parts));
            if (Sharding.RuleOf(name) == ShardingRule.Replicated)
                foreach (var part in parts) Assert.Equal(mine.ToArray(), part.ToArray());
            if (tensors.Rank == 0 && (model.Part.Owns(name))) tellGradient(name, Sharding.Join(name, parts));
        }
    }

    private static Glm130B Model(ProcessGroup world, Glm130BConfig config, int stages, out ProcessGroup tensors, float dropout = 0, bool recompute = false)
    {
        int tensorRanks = world.Size / stages;
        tensors = world.Split(world.Rank / tensorRanks);
        var part = ModelPart.Stage(config.NumLayers, world.Rank / tensorRanks, stages, tensors);
        var weights = Initialization.DeepNorm(config, seed: 5, gain: 3, part: part);
        return new Glm130B(config, name => weights[name], part) { HiddenDropout = dropout, AttentionDropout = dropout, RecomputeActivations = recompute, EmbeddingGradientShrink = 0.5f };
    }

    private static int[] Ids(ulong stream)
    {
        var random = new CounterRandom(1, stream);
        return [.. Enumerable.Range(0, Rows).Select(_ => random.NextInt(Config.VocabSize))];
    }

    private static int[] Positions => [.. Enumerable.Range(0, 20), .. Enumerable.Range(0, 28)];
}

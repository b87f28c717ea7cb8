using Glm.Distributed;
using Glm.Tensors;
using Glm.Tests;

namespace Glm.Training.Tests;

public sealed class MuonTests
{
    private const string Muon = """, "optimizer": "muon" """;

    [Fact]
    public void It_moves_the_layers_matrices_alone_otherwise_than_AdamW()
    {
        using TinyRun adamw = new(), muon = new(Muon);
        using var workers = new Workers(2);
        using Trainer first = new(adamw.Config, workers), second = new(muon.Config, workers);
        first.Step();
        second.Step();
        foreach (var (name, tensor) in first.Weights)
        {
            bool same = tensor.ToArray().AsSpan().SequenceEqual(second.Weights[name].ToArray());
            Assert.True(same == !(tensor.Shape.Length == 2 && name.Contains(".layers.")), name);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData(""", "precision": "bfloat16" """)]
    public void The_loss_falls_and_a_resumed_run_continues_bit_for_bit(string options)
    {
        using TinyRun straight = new(Muon + options), interrupted = new(Muon + options);
        using var workers = new Workers(2);
        using var expected = new Trainer(straight.Config, workers);
        double before = expected.Validate()[0];
        expected.Run(null, default);
        Assert.True(expected.Validate()[0] < before - 0.5);
        using (var first = new Trainer(interrupted.Config, workers))
        {
            for (int i = 0; i < 5; i++) first.Step();
            first.Export(interrupted.In("model")); // saves a checkpoint first
        }
        using var second = new Trainer(interrupted.Config, workers);
        second.Resume(message => Assert.Fail(message));
        second.Run(null, default);
        Assert.Equal(TinyRun.Fingerprint(expected), TinyRun.Fingerprint(second));
    }

    [Fact]
    public void Several_processes_are_refused()
    {
        using TinyRun run = new(Muon);
        InProcessJob.Run(2, world =>
        {
            using var workers = new Workers(1);
            Assert.Contains("muon moves whole matrices", Assert.Throws<GlmException>(() => new Trainer(run.Config, workers, world)).Message);
        });
    }
}

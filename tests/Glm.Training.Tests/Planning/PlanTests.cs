using Glm.Models;
using Glm.Tensors;

namespace Glm.Training.Tests;

/// <summary>The figures that the paper and its logs give for GLM-130B's own run (spec 4.1 and 4.3).</summary>
public sealed class PlanTests : IDisposable
{
    private static readonly Cluster DgxA100 = Cluster.Load("dgx-a100");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(4224, 88.5, 134.1)]
    [InlineData(6144, 122.5, 141.0)]
    public void Measured_steps_give_the_operations_of_the_logs(int batch, double seconds, double tflops)
    {
        var plan = Plan(batch, seconds);
        Assert.Equal(tflops, plan.Tflops, 0.05);
        // The formula of the logs, term by term.
        double h = 12288, l = 70, s = 2048, v = 150528;
        Assert.Equal(24 * 4 * batch * s * l * h * h * (1 + s / (6 * h) + v / (16 * l * h)), plan.HardwareOperations, plan.HardwareOperations * 1e-12);
        // What was fitted to one of them predicts the other.
        Assert.Equal(seconds, plan.EstimatedSeconds, seconds * 0.05);
    }

    [Fact]
    public void The_run_is_the_papers()
    {
        var plan = Plan(4224, 88.5);
        Assert.Equal((24, 176, 8), (plan.DataParallel, plan.MicroBatches, plan.Memory.Count));
        Assert.Equal(0.038, plan.IdealBubble, 0.0005);
        Assert.Equal(0.325, plan.ModelUtilization, 0.003);
        Assert.Equal(0.433, plan.HardwareUtilization, 0.003);
        Assert.Equal((49300, 195_591_480), (plan.Run!.Steps, plan.Run.Samples));
        Assert.Equal(400.57e9, plan.Run.Tokens, 0.005e9);
        Assert.All(plan.Memory, stage => Assert.InRange(stage.Total, 1, 40.0 * (1 << 30)));
        // Weights of all stages, with the embedding at both ends and small tensors on every rank, are about a rank's share of the model.
        Assert.InRange(plan.Memory.Sum(stage => stage.Weights) * 4, 2.0 * 128_697_794_560, 2.03 * (128_697_794_560 + 1_849_688_064));
        // Of 60 days, 442.4 MWh: what a day takes.
        Assert.Equal(442.4 / 60, plan.Run.MegawattHours!.Value / plan.Run.Days, 0.05);
        Assert.Equal(257.01 / 442.4, plan.Run.TonsOfCarbonDioxide!.Value / plan.Run.MegawattHours.Value, 0.001);
    }

    [Fact]
    public void GPipe_keeps_all_micro_batches_and_waits_as_long()
    {
        var layout = DgxA100.Training! with { Steps = 0 };
        TrainingPlan one = new(Presets.All["glm-130b"], DgxA100, layout), other = new(Presets.All["glm-130b"], DgxA100, layout with { Schedule = PipelineSchedule.GPipe });
        Assert.True(other.Memory[^1].Activations > 20 * one.Memory[^1].Activations / 8);
        Assert.Equal(one.EstimatedSeconds, other.EstimatedSeconds, one.EstimatedSeconds * 0.03);
        Assert.Null(one.Run);
    }

    /// <summary>The paper's claim: INT4 fits 4 x RTX 3090 and 8 x RTX 2080 Ti, 16 bits do not; never below what FasterTransformer took (spec 9.3, 512 tokens).</summary>
    [Theory]
    [InlineData("rtx-3090-4", DType.Int4, 32.3)]
    [InlineData("rtx-2080ti-8", DType.Int4, 27.29)]
    [InlineData("dgx-a100", DType.Float16, 18.77)]
    public void Inference_fits_where_the_paper_ran_it(string cluster, DType type, double seconds)
    {
        var plan = new InferencePlan(Presets.All["glm-130b"], Cluster.Load(cluster), type, [512, 2048]);
        Assert.True(plan.Points[0].Fits);
        Assert.InRange(plan.Points[0].TokenSeconds * 512, seconds / 10, seconds);
        Assert.True(plan.Points[1].TokenSeconds > plan.Points[0].TokenSeconds && plan.Points[1].PromptSeconds > 4 * plan.Points[0].PromptSeconds * 0.9);
        if (type == DType.Int4)
        {
            Assert.Equal(62.5, plan.WeightBytes / (double)(1L << 30), 0.05);
            Assert.False(new InferencePlan(Presets.All["glm-130b"], Cluster.Load(cluster), DType.Int8, [512]).Points[0].Fits);
        }
    }

    [Fact]
    public void Every_preset_loads() => Assert.All(Cluster.Presets, name => Assert.True(Cluster.Load(name).Devices > 0));

    [Theory]
    [InlineData("nodes: 2\nspeed: 3\n", "line 2", "speed")]
    [InlineData("nodes: two\n", "line 1", "")]
    [InlineData("devices_per_node: 1\ndevice:\n  memory_gib: 8\n  tflops: 1\n", "device.bandwidth_gb_s: expected more than 0, found 0", "")]
    [InlineData("nodes: 2\ndevices_per_node: 1\ndevice: { memory_gib: 8, tflops: 1, bandwidth_gb_s: 10 }\n", "network_gb_s: expected more than 0, found 0", "")]
    [InlineData("", "expected a cluster, found nothing", "")]
    public void A_bad_description_is_refused(string yaml, string reason, string field)
    {
        string file = _folder.Write("cluster.yaml", yaml);
        string message = Assert.Throws<GlmException>(() => Cluster.Load(file)).Message;
        Assert.StartsWith(file, message);
        Assert.Contains(reason, message);
        Assert.Contains(field, message);
    }

    [Theory]
    [InlineData(7, 8, 4224, "a divisor of the 768 devices, found 56")]
    [InlineData(4, 8, 4225, "a multiple of 24 replicas x micro_batch 1, found 4225")]
    [InlineData(1, 96, 4224, "expected at most 72 for 70 layers, found 96")]
    [InlineData(256, 1, 4224, "tensor_parallel: expected a divisor of the 96 attention heads, found 256")]
    public void An_impossible_layout_is_refused(int tensors, int stages, int batch, string reason)
    {
        var layout = DgxA100.Training! with { TensorParallel = tensors, PipelineParallel = stages, GlobalBatch = batch, RampStart = 0, Steps = 0 };
        Assert.Contains(reason, Assert.Throws<GlmException>(() => new TrainingPlan(Presets.All["glm-130b"], DgxA100, layout)).Message);
    }

    private static TrainingPlan Plan(int batch, double seconds) => new(Presets.All["glm-130b"], DgxA100, DgxA100.Training! with { GlobalBatch = batch }, seconds);
}

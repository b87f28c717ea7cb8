namespace Glm.Training.Tests;

/// <summary>The schedules of GLM-130B's run, from the numbers of spec section 4.1.</summary>
public sealed class ScheduleTests
{
    [Fact]
    public void Batch_grows_by_24_every_32697_samples_and_is_full_at_step_4297()
    {
        var ramp = new BatchRamp(192, 24, 5_493_164, 4224);
        Assert.Equal(192, ramp.At(0));
        Assert.Equal(192, ramp.At(32_697));
        Assert.Equal(216, ramp.At(32_698));
        long samples = 0, step = 0;
        for (; ramp.At(samples) < 4224; step++) samples += ramp.At(samples);
        Assert.Equal(4297, step + 1);
    }

    [Fact]
    public void Rate_warms_up_decays_and_stays()
    {
        var rate = new LearningRateSchedule(8e-5, 8e-6, 1_098_632, 197_753_905);
        Assert.Equal(0, rate.At(0));
        Assert.Equal(4e-5, rate.At(549_316), 1e-12);
        Assert.Equal(8e-5, rate.At(1_098_632), 1e-12);
        Assert.Equal(4.4e-5, rate.At((1_098_632 + 197_753_905) / 2), 1e-9);
        Assert.Equal(8e-6, rate.At(197_753_905), 1e-12);
        Assert.Equal(8e-6, rate.At(219_726_562), 1e-12);
    }

    [Fact]
    public void Embedding_shrink_is_constant_then_grows_to_one()
    {
        var shrink = new EmbeddingShrinkSchedule(0.1, 6000, 500);
        Assert.Equal(0.1, shrink.At(5999));
        Assert.Equal(0.55, shrink.At(6250), 1e-12);
        Assert.Equal(1, shrink.At(6500));
        Assert.Equal(1, shrink.At(60_000));
        Assert.Equal(0.1, new EmbeddingShrinkSchedule(0.1).At(1_000_000));
    }
}

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

    [Fact]
    public void Rate_warms_up_once_more_at_absolute_samples()
    {
        var plain = new LearningRateSchedule(1, 0.1, 100, 1000);
        var again = plain with { Rewarmups = [new(400, 50)] };
        Assert.Equal(plain.At(399), again.At(399));
        Assert.Equal(plain.At(400) * 1e-8, again.At(400), 1e-15);
        Assert.Equal(plain.At(425) / 2, again.At(425), 1e-12);
        Assert.Equal(plain.At(450), again.At(450));
    }

    /// <summary>GLM-130B's: 0.1, warmed to 1 from step 6000, again from 0.2 at 22800, then 0.5 and 0.1 (spec 4.4).</summary>
    [Fact]
    public void Embedding_shrink_begins_again()
    {
        var shrink = new EmbeddingShrinkSchedule(0.1, 6000, 500) { Changes = [new(22800, 0.2, 0, 6000), new(33600, 0.5), new(35200, 0.1)] };
        Assert.Equal([0.1, 1, 0.2, 0.6, 0.5, 0.1], new long[] { 5999, 22799, 22800, 25800, 33600, 60000 }.Select(step => Math.Round(shrink.At(step), 12)));
    }
}

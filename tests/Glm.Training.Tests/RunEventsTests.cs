namespace Glm.Training.Tests;

public sealed class RunEventsTests
{
    [Fact]
    public void A_line_that_a_crash_cut_off_spoils_no_later_one()
    {
        using var folder = new TemporaryFolder();
        var events = new RunEvents(folder["events.jsonl"]);
        events.Append(new RunEvent(DateTime.UnixEpoch, 1, 8, "start", "one"));
        File.AppendAllText(folder["events.jsonl"], "{\"time\":\"1970");
        events.Append(new RunEvent(DateTime.UnixEpoch, 2, 16, "resume", "two"));
        Assert.Equal(["one", "two"], RunEvents.Read(folder["events.jsonl"]).Select(entry => entry.Message));
    }
}
